"""What measurements need of the machine.

`database` runs a PostgreSQL, whose `address` the ways are given. `watch` runs a command, and takes `samples` of the
processes of server and client meanwhile; `cpu` does so for a measurement that has all in its own process, with a
`spark` session of its own. `jdbc_jar` finds the JDBC driver.
"""
