"""Rows to COPY's text format, and back. Nothing in this package opens a connection.

`match_columns` maps columns to columns, `write_types` maps Spark types to PostgreSQL types, and `read_types` back.
`composed` has the types whose values are made of others: composite types, hstore, vectors.
`encode_spark` encodes rows by Spark's expressions, and `encode_arrow` by PyArrow; `decode_spark` and `decode_arrow`,
with `decode_nested`, decode them. They share the forms of `text`, `arrow_buffers`, and `whole_stage`, which keeps wide
rows out of Spark's code generation.
"""
