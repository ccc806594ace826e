"""A load on the driver: `job` prepares, copies and publishes, once for a load id.

`dataframe` takes the arguments of a program, and `files` reads the input. `target` determines the table and its
columns, some of which the user has `defined`. `stage` copies the rows into staging tables, and shows `progress`.
`publish` makes them part of the target, also if a connection breaks. `one_part` and `direct_parts`
load without staging; `ways` chooses.
`jobs.pgcopy` uses `target` and `publish`, too.
"""
