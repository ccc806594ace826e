"""An extract on the driver: `plan` determines columns, rows and parts, `dataframe` reads them, `job` writes files.

`incremental` states what an incremental extract requires, `watermark_runs` extracts only the rows that are new since
the last run, and `deletes` finds the keys that were deleted. `over_connect` reads through Spark Connect, by `pgcopy`.

Many tables: `tables_plan` chooses, locks and plans them, `tables_job` reads them one after another in one snapshot, and
`table_folders` names their folders.
"""
