"""Loads of drawn rows into drawn tables, and a model in Python of what such a table holds afterwards.

The model follows PostgreSQL's manual and docs/load.md, and shares no code with a load: where both are wrong, they are
wrong in different ways. From the bottom to the top:

- `values`: columns' types, with values that they store, in which form, and values that they refuse.
- `tables`: a table as a value, and the SQL that creates it.
- `conditions`: conditions of SQL, in its three-valued logic.
- `stored`: such a table with its rows, in Python: what an INSERT, UPDATE or DELETE does to it, or why it fails.
- `cases`: a table, its rows, the rows of a load, and its options.
- `modes`: the modes of a load, as operations of a stored table.
- `model`: what a load must have done.
- `drawn`: cases, as Hypothesis draws them.
- `quick`: does a load without Spark: all of the flow but the encoder of the JVM.
- `check`: does a load, and compares the server with the model.
"""
