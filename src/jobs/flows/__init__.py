"""What the driver does in each job, from its options to its report.

`connection` determines the settings of a connection, with passwords from AWS. Then one of these does the job:

1. `doctor` examines what a load needs, before the first one.
2. `load` stages and publishes a DataFrame, and `extract` reads a table into a DataFrame or into files.
3. `compare` compares the two.
   `table_copy` copies a table from one server to another.
4. `query` runs SQL once, and `capture` carries the changes of a table to a copy or into files.

`report` contains what a run prints. `file_options` are the options of Spark's readers and writers, `source_tables` are
the names of tables of Spark's catalogs, `sql_file` reads SQL from a file, and `spark_connect` does by `pgcopy` what
the clients of Spark Connect cannot do themselves.
"""
