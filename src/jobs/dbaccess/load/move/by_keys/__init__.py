"""Rows of the table that have the keys of staged rows are changed, deleted or kept.

`upsert` is INSERT .. ON CONFLICT. `difference` is an overwrite that changes only what differs. `merge` is an upsert by
several statements (`merge_statements`): for changes that delete rows or depend on conditions, and for keys without a
unique index. `history` makes each row one of the `versions` of its key.
"""
