"""How staged rows become rows of the table: one module for each way, and the modes that choose among them."""
