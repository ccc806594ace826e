"""How the tests' JVMs run: each lives for seconds, so that what takes long to get fast costs more than it gives."""

from __future__ import annotations

FLAGS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

CONF = {"spark.driver.extraJavaOptions": FLAGS, "spark.executor.extraJavaOptions": FLAGS}
