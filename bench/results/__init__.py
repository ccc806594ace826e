"""Figures: computed, kept, judged and shown.

`figures` computes those of a run, and the median of several. `store` keeps them as JSON. `goals` says which of them are
to be how small. They are shown at the end of the benchmark by its `report`, and in the documentation by a `page`, with
`pictures`.
"""
