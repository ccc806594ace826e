"""The ways of others.

- Loads: `jdbc` and `psycopg_rows` by Spark; `adbc`, `dlt_csv` and `psql` without it.
- Reads: `jdbc_extract` by Spark; `connectorx_extract` and `psql_extract` without it.
"""
