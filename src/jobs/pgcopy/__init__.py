"""The data source `pgcopy` of Spark 4: tables by COPY, for `spark.read`, `df.write`, and streams of both."""
