"""A copy of a table from one server to another by COPY, without Spark: text goes from socket to socket, undecoded.

`copied_columns` decides which columns cross, and whether text means the same on both sides. `crossing` copies the parts
of one snapshot into staging, each over two connections. `job` does what the driver of a load does, and publishes.
"""
