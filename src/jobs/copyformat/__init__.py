"""Rows as COPY's text format, and back. Nothing here opens a connection.

`match_columns` says which column goes where, `write_types` which PostgreSQL type each becomes, `read_types` the way
back. `encode_spark` makes lines of rows by Spark's expressions, `encode_arrow` by PyArrow; `decode_spark` and
`decode_arrow` with `decode_nested` read them. They share `copy_text` (NULL and the escapes), `timestamp_text`,
`json_text`, `utf8`, `iso_dates`, `arrow_buffers`, and `whole_stage`, which keeps wide rows out of
Spark's code generation.
"""
