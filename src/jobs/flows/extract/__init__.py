"""An extract on the driver: `plan` determines columns, rows and parts, `dataframe` reads them, `job` writes files.

`incremental` and `watermark_runs` extract only the rows that are new since the last run.
"""
