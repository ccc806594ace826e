"""What trials need and share: a server, a proxy, and Spark."""
