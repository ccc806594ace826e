"""A load on the driver: prepare, copy, publish, analyze, once for a load id.

`dataframe` takes the arguments of a program, and `files` reads the input; both call `job`. `target` determines the
table and its columns, some of which the user has `defined`; `schema` is about those that an existing table lacks. Then
`job` chooses among the `ways`:

- staged: `stage` copies the rows into staging tables, and shows `progress`; `publish` makes them part of the table,
  also if a connection breaks. `resume` continues a staged load that failed.
- `direct`: tasks copy straight into the table.

`pace` makes parts wait for standbys, and `bad_rows` explains rows that the server refuses. `over_connect` loads through
Spark Connect, by `pgcopy`. `foresee` does what `job` does as far as that changes nothing, and returns a `plan`.
`together` are several loads that one transaction publishes, a release.
`jobs.pgcopy` uses `target` and `publish`, too.
"""
