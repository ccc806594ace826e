"""The ways of others."""
