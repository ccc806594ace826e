"""What a query's plan and lineage say of its rows: whether parts fit together, and whether attempts repeat."""
