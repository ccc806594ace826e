"""The pace of a load: parts and slices wait while standbys are behind, or while the server writes too much WAL.

`wal_limits` says why a further step would exceed a limit. `governor` asks it before each step, with what the server
says.
"""
