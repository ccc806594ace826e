"""OpenLineage: what a job reads and writes, told to a server of lineage by events at its start and its end.

`datasets` names tables and files as OpenLineage does, `events` makes the events, `origin` finds who started the job,
and `sender` posts them. `telling` puts them together for a run. Nothing here can fail a job.

https://openlineage.io/docs/spec/naming
https://github.com/OpenLineage/OpenLineage/blob/main/spec/OpenLineage.json
"""
