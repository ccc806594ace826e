"""A release on the driver: several tables are loaded under one load id, and published by one transaction.

`job` does the loads as `flows.load.run` does one, up to their staging (`stages`), and then publishes all of them;
`composable` says which loads it takes. Its result is a `report`. `dataframes` takes the arguments of a program.
`outlook` shows what a release would do.
"""
