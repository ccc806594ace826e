"""The partitions that rows lack.

`key` reads the partition key of a table. `bounds` parses the bounds of its partitions, and `rules` has the rule that
these follow. `ranges` applies it to the rows, `naming` names the new partitions, and `find` does all of this.
"""
