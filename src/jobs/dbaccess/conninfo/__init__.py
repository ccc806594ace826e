"""Where a connection's settings come from: flags, variables, files, URIs, Airflow. `resolve` settles which counts."""
