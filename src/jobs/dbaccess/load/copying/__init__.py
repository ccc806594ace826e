"""Attempts at the parts of a load copy rows, and exactly one attempt at each part counts.

`parts` are copied into staging; `receipts` of Spark's driver determine whose rows stay there. `direct` parts need no
staging: each is copied straight into the target, in a transaction that also records it, by the marker if it is the only
part, else by one of its `claims`.
"""
