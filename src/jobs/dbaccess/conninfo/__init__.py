"""The settings of a connection, from flags, variables, files, URIs and Airflow, by one order of precedence."""
