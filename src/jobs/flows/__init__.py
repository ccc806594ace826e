"""The driver's side of each job, from its options to its report.

`connection` turns what a job is told about its connection into settings, with passwords from AWS. `load` stages and
publishes a DataFrame, `extract` reads a table into a DataFrame or into files, `compare` compares the two, and `query`
runs SQL. `report` has what a run prints.
"""
