"""The ways. Each module's `load(task)` reads the data, returns after the last commit, and returns its phases."""
