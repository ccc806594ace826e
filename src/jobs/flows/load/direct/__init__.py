"""Loads whose tasks copy straight into the table: of one small part, and of parts that a rerun can complete."""
