"""The connection to the server.

`sockets` opens it, with `tls`. pg8000 reads from a file that has checked each message (`hearing`, with `messages`,
`bodies` and the steps of the `login`), and its DB-API connection is the `driver`, with our errors. `copy_in` and
`copy_out` speak COPY without pg8000. A `conversation` uses all of these, one request at a time.
"""
