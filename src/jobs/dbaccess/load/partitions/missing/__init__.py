"""The partitions that rows lack.

`key` reads the partition key of a table. `bounds` parses the bounds of its partitions, and `rules` has the rule that
these follow, with the calendar of `local_times`. `ranges` applies it to the rows, `naming` names the partitions, and
`find` does all of this.
"""
