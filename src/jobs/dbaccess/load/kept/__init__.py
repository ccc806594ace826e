"""Staging that outlives its run: what a failed load has staged may stay, so that a rerun copies only what is missing.

The `notes` on staging tables say for which load they are kept, of which input, and until when. `take_over` makes them
the staging of a rerun. `listing` shows and drops what is kept. What is not kept are `leftovers`, which are swept.
"""
