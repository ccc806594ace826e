"""The ways: each module's `load(task)` reads the data, returns after the last commit, and tells its phases, if any."""
