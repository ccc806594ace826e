"""A load on the driver: `job` prepares, copies and publishes, once for a load id.

`files` reads what is to be loaded. `target` settles where its rows go, `stage` copies them with `progress`, and
`publish` makes them part of the target whether or not a connection breaks meanwhile.
"""
