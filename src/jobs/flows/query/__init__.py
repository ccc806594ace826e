"""Run SQL once for a load id.

`call` takes the arguments of a program, and `job` runs the statements and writes the marker. `target` writes the result
of the last query to files, by Spark. `report` says what each statement did.
"""
