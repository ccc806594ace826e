"""The rows of a trial, as a job gets them and as they are expected of it.

`rows` makes those of a load, and `contents` says what its table holds before and after it. `release` has the tables
that refer to the trial's own, and `batches` the changes that a capture writes.
"""
