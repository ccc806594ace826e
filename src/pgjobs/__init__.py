"""The part that runs on a developer's machine: builds the archive, submits jobs to EMR Serverless, and follows them.

The jobs never import it.

1. `archive` packs the jobs and their packages for the target's Python and processor. `checks` examines an archive.
2. `submit` turns options into a StartJobRun request, uploads the files that the request refers to, and starts the run.
3. `runs` waits for a run, shows its logs as they grow, and reports how it ended.
4. `local` runs a request on this machine instead of submitting it.
5. `cli` is the command `pgjobs`: flags, their defaults, and one function for each command.

`aws` has the clients and errors of AWS, `console` prints, `toml` reads TOML,
`distribution` is the name that pip knows, and `errors` are those of all of this.
"""
