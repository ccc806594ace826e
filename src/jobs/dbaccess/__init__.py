"""PostgreSQL by pg8000 and the standard library alone: settings, connecting, COPY, ledger, staging."""
