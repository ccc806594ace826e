"""An extract on the driver: `plan` settles what is read and in which parts, `dataframe` reads it, `job` writes files.

`incremental` and `watermark_runs` read only what is new since the last run.
"""
