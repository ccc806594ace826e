"""The command line of the jobs: `flags` are those that all of them share, and `run` is how a job starts and ends."""
