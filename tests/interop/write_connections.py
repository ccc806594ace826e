"""Run by a real Airflow's Python: reads connections as JSON lines, writes each as Airflow's URI and JSON."""

from __future__ import annotations

import json
import sys

from airflow.models.connection import Connection

for line in sys.stdin:
    fields = json.loads(line)
    connection = Connection(conn_id="x", conn_type="postgres", **fields)
    sys.stdout.write(json.dumps([connection.get_uri(), connection.as_json()]) + "\n")
