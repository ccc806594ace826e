"""Start, watch and stop a PostgreSQL server of your own, for development and tests."""
