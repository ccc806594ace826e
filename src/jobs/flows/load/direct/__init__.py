"""Loads whose tasks copy straight into the table.

`one_part` is for a load of one small part: its task also writes the marker. `direct_parts` is for a load whose parts
are claimed one by one, so that a rerun can complete them.
"""
