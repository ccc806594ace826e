"""TPC-H's tables: as files, and on the server."""
