"""The jobs' command line: `flags` has the flags that all jobs share, and `run` starts and ends a job."""
