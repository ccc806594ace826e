"""Python imports this at each start below Spark of the tests, and then finds PySpark in its folder, not in a ZIP.

Spark puts ZIPs in front of Python's path, of PySpark and its own JAR among them. Modules out of a ZIP are compiled anew
in each process. And at the start of each task PySpark has Python read the directories of all ZIPs again: a tenth of a
second of CPU, in most tests the largest part.
https://docs.python.org/3/library/site.html#module-sitecustomize
"""

from __future__ import annotations

import sys
from pathlib import Path


def is_of_spark(place: str) -> bool:
    return Path(place).name.startswith(("pyspark.zip", "py4j-", "spark-core_"))


others = [place for place in sys.path if not is_of_spark(place)]
if any(Path(place, "pyspark").is_dir() for place in others):
    for place in set(sys.path).difference(others):
        sys.path_importer_cache.pop(place, None)
    sys.path[:] = others
