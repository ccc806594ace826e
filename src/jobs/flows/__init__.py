"""The driver's side of each job, from its options to its report.

`load` stages and publishes a DataFrame, `extract` reads a table into one or into files, and `compare` compares the two.
`connection` asks AWS for passwords, and `report` is what a run tells.
"""
