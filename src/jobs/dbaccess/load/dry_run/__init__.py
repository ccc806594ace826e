"""What a load is going to do, for --dry-run: its statements in their order, and their locks. Nothing is executed.

Each statement is a step (`steps`), and comes from the module that executes it; `held` says which locks it takes. The
`outline` has all steps of a load: those `around` the rows, which every load has, those for `creating` tables, and those
for `moving` staged rows there. For a load that replaces partitions, `foretell` needs the different keys of its rows. A
release has an `outline_together`.
"""
