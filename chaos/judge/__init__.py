"""Judges what is left after a trial. It uses no code of the product."""
