"""What the server tells of itself: its tables, the columns of a query, and the connections that it has left."""
