"""The settings of a connection.

`sources` reads them from flags, variables and files, and `resolve` combines them in one order of precedence into
`settings`. `keywords` are libpq's; `uri`, `airflow`, `libpq_files` and `secret_text` parse one form each. `rds_hosts`
recognizes hosts of RDS.
"""
