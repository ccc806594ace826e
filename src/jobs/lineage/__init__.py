"""OpenLineage: events that say what a job reads and writes, at its start and at its end.

`datasets` names tables and files as OpenLineage does, and `origin` finds the run that started the job. `events` makes
events of them, and `sender` posts these to a server. `run_events` does all of this for a run. No failure of these
modules fails a job.

https://openlineage.io/docs/spec/naming
https://github.com/OpenLineage/OpenLineage/blob/main/spec/OpenLineage.json
"""
