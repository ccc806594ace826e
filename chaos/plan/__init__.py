"""The plan of a trial, which follows entirely from its seed."""
