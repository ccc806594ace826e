"""What the server knows: its tables, the columns of a query, and its free connections."""
