"""SQL of the user's own: a script is split into statements, and each is run with its values bound."""
