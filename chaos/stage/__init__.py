"""What trials need and share: one `stage` for each lane.

`server` runs a PostgreSQL that can be broken, whose `clock` can jump. `database` is a trial's own, reached by psql. The
jobs reach it through the `wire`, a proxy that triggers the fault at the planned point, and some through a `pooler`.
`spark` has the drivers. `passwords` plants a password, and searches for it in all that is written. `here` says what of
all this the machine lacks.
"""
