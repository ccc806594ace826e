"""The data source `pgcopy` of Spark 4: tables by COPY, for `spark.read`, `df.write`, and streams of both.

Spark creates a `datasource` for each plan, which reads its `options`, as `option_texts` reads values. `reader` and
`stream_reader` read parts in one snapshot; a `snapshot_desk` holds it. `writer` and `stream_writer` copy parts into
staging tables, and publish them when Spark commits. Spark's planner processes end before its tasks run, so a `sidecar`
process holds the snapshots and the staging tables (`sidecar_holds`) until the tasks have ended.
"""
