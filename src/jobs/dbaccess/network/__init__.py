"""The connection to the server: sockets, TLS, and the messages of PostgreSQL's protocol, including those of COPY."""
