"""Judges what is left after a trial. It uses no code of the product: psql and PyArrow tell what there is.

`courts` finds the `court` for the kind of job: `writes` for jobs that write a table, `follows` for a table that follows
a capture, `reads` for jobs that write files or copies. They read the tables by `evidence` and the files by `lake`, and
compare what they find with the valid `states`, by their `difference`. `followed` compares a table with the batches that
it has read, and `reader` joins the tables of a release all the while. `endings` says how a job may end, and `leftovers`
what it must not leave. All complaints come together in the `verdict`.
"""
