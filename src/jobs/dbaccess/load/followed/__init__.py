"""Tables that follow a source by its changes: how far each of them is.

A `source_position` is a state of a source, such as a snapshot of a lake's table, and a `definition` what of it a table
has. `stored` are the positions of the
database's tables, written by the transaction that publishes the rows. A `decision` is what a load has to read, so that
the table becomes equal to the source as it is now.
"""
