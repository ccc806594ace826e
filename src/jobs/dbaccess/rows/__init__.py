"""Rows of Python values to a table and back, by COPY and without Spark.

`encode` writes a row as a line of COPY's text format, `decode` reads one, and `copy` has the connection.
"""
