"""The ways of this project."""
