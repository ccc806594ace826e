"""Values that are made of other values: composite types, hstore, and the vectors of pgvector.

`fitting` says which of Spark's types go into which column. `literals` writes the values as the server parses them.
"""
