"""The driver's side of each job: the only place where Spark and the database meet."""
