"""Measures loads and reads, by this project and by others.

Commands: `python -m bench` runs all ways of the `plan` in rounds, and `draw` puts the figures into the documentation.
`capture`, `reads`, `vectors`, `overwrite`, `indexes` and `binary`, whose prototype is `binary_rows`, each measure one
thing; `throttle` slows down the server's processes.

`measure` prepares the database with the tables of `tpch`, runs one of the `ways` in a process of its own, and watches
the `machine` meanwhile. `results` are the figures. `places` says where things are, and `errors` are what ends a
measurement.
"""
