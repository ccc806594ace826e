"""The partitions that rows lack: the rule that bounds follow, and the bins, bounds and names of new partitions."""
