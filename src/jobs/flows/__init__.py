"""What the driver does in each job, from its options to its report.

`connection` determines the settings of a connection, with passwords from AWS. `load` stages and publishes a DataFrame,
`extract` reads a table into a DataFrame or into files, `compare` compares the two, and `query` runs SQL. `report`
contains what a run prints.
"""
