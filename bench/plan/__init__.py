"""What is compared: the `catalogue` lists each `way`, in the tables of the report."""
