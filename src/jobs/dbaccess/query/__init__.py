"""SQL of the user's own.

`script` splits it into statements, and `execute` runs each with its values bound. `condition` checks a single boolean
expression. `result` keeps the rows of a query as a table, until they are written to files.
"""
