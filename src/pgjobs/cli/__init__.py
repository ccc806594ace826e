"""The command `pgjobs`.

`config` reads the defaults of flags from the project, `options` and `command_flags` define the flags, and `commands`
dispatches: to `packing` (package, verify), `submission` (submit, run-local), `following` (status, logs, cancel, list),
`jobs_here` (a job with the Spark of this machine), `init` or `completion`.
"""
