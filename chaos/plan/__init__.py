"""The plan of a trial, which follows entirely from its seed.

`flows` are the jobs that are tried, with the faults that are meaningful for each. The `deck` combines them. `draw`
makes a `trial` of a seed: it takes the case from the deck, and draws the options and the point at which the fault
strikes, for example one of the `steps` of the job. `ids` are those of the rows to which something happens. `coverage`
counts which faults meet which jobs.
"""
