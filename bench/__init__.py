"""`make bench`: loads TPC-H's lineitem into PostgreSQL with pgjobs and alternatives, and measures them in one run."""
