"""A load on the driver: prepare, copy, publish, analyze, once for a load id.

`dataframe` takes the arguments of a program. `sources` reads `files`, by `reading`, or a table of Spark's catalogs
(`catalog_table`). Both `run` a `job`. To `prepare` one, `targets` determines the table and its columns, some of which
the user has `defined`; `schema` is about those that an existing table lacks. Then `run` chooses among the `ways`:

- staged: `stage` copies the rows into staging tables, and shows `progress`; `publish` makes them part of the table,
  also if a connection breaks. `resume` continues a staged load that failed.
- `direct`: tasks copy straight into the table.

`pace` makes parts wait for standbys, and `bad_rows` explains rows that the server refuses. `over_connect` loads through
Spark Connect, by `pgcopy`. A `dry_run` does what `run` does as far as that changes nothing, and returns a plan.
`feeds` are what a load reads whose table follows a source by its changes.
`together` are several loads that one transaction publishes, a release.
`jobs.pgcopy` uses `targets` and `publish`, too.
"""
