"""Between the session and the server: sockets, TLS, and the messages of PostgreSQL's protocol, COPY's among them."""
