"""Rows that the server refuses: explained finds where one comes from; rejected names the files of those put aside."""
