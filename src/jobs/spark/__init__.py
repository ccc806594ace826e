"""PySpark alone: rows to COPY text, the type map, and what the executors run."""
