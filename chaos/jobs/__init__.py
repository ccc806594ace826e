"""The jobs that are struck: what each gets, as a user would give it."""
