"""Data whose columns are not those of the table any more.

`drift` compares the two, and chooses wider types. `evolve` says what the table will be when the load is published.
"""
