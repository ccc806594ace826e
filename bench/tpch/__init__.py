"""TPC-H's data: `files` generates them, and `names` has what all of the benchmark calls them.

`tables` are created and filled on the server before a way runs, and `checks` says afterwards whether they contain the
data.
"""
