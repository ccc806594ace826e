"""Rows that the server refuses.

- `explained` finds where such a row comes from.
- `located` finds that out for rows that violate a constraint.
- `rejected` names the files of those put aside.
- `replay` loads these again, once somebody repaired them.
- `storable` leaves out or replaces characters that the server cannot store.
"""
