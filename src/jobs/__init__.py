"""PySpark jobs that move data between Spark and PostgreSQL by COPY, exactly once, with nothing to compile."""
