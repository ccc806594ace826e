"""Start, monitor and stop a PostgreSQL server for development and tests."""
