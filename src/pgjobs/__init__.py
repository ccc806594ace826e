"""The laptop's side: packs the archive, submits jobs to EMR Serverless, and follows them. The jobs never import it.

1. `archive` packs the jobs and their packages for the target's Python and processor; `checks` looks at what was packed.
2. `submit` turns options into a StartJobRun request, uploads what the request refers to, and starts the run.
3. `runs` waits for a run, shows its logs as they grow, and tells how it ended.
4. `local` runs a request on this machine in place of submitting it.
5. `cli` is the command `pgjobs`: flags, their defaults, and one function for each command.
"""
