"""Kept staging: what a failed load has staged stays, so that a rerun of its load id copies only what is missing.

The `notes` on staging tables say for which load they are kept, of which input, and until when. `take_over` makes them
the staging of a rerun. `listing` shows and drops what is kept.
"""
