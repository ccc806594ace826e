"""Rows that the server refuses are put aside, in the table `<table>_rejects`, and the others are loaded.

- policy: what a load does about such rows, and how many it bears.
- reasons: a stable code for each SQLSTATE.
- quarantine: a task copies its part in `blocks`, each in one of its `savepoints`, and puts aside the lines that the
  server names (`aside`).
- table: the rejects of a load in staging, and the table that they are published to.
- row_rules: what a table demands of its rows; table_rules reads it from the catalog.
- constraints: staged rows that violate them, found by queries of sets, of which `conflicts` has those of unique and
  exclusion constraints; places: where these rows come from.
- accepted: the other rows are moved.
- search: the rows because of which a load failed that puts none aside.
"""
