"""Run SQL once: `call` takes a program's arguments, `job` runs it, `target` writes its result to files by Spark."""
