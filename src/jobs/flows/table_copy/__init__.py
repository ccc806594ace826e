"""A copy of a table from one server to another by COPY, without Spark: text goes from socket to socket, undecoded.

`copied_columns` decides which columns cross, and whether text means the same on both sides. `crossing` copies the parts
of one snapshot into staging, each over two connections, and `line_hashes` hashes their rows, to verify them. `job` does
what the driver of a load does, and publishes; it returns a `report`. `through_spark` copies what a query of Spark makes
of the rows. `table` is the function for programs.
"""
