"""`make bench`: TPC-H's lineitem into PostgreSQL by pgjobs and by what people use instead, measured in one run."""
