"""A load that is only planned, for --dry-run and for the doctor.

`foresee` does what `run` does as far as that changes nothing, and returns the `plan`. It looks at the `data`, whose
columns `fit` those of the table, and at what the catalog says (`known`). The statements are those of
`dbaccess.load.dry_run`.
"""
