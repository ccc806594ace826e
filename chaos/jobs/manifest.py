"""The manifest of a release: the trial's own table, and those that refer to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos.data.release import DIFFERENCE, referencing
from chaos.plan.trial import Trial


def manifest(trial: Trial, folder: Path, identity: str, target: Mapping[str, Any]) -> str:
    """Return the manifest of a release. Tables that others refer to come last: their keys decide, and not the order.

    Args:
        trial: The trial.
        folder: The folder below which `write` has written.
        identity: The load id.
        target: The entry of the trial's own table.
    """
    hint = "/*+ REPARTITION(2, id) */ " if trial.input == "shuffled" else ""
    select = f"SELECT {hint}id, parent, '{identity}' AS release, text FROM source"
    entries = [
        {
            "table": f"shop.{table.name}",
            "source": str(folder / table.name),
            "select": select,
            **(
                {"mode": "overwrite", "overwrite-strategy": "diff"}
                if table.mode == DIFFERENCE
                else {"mode": table.mode}
            ),
            **({} if table.mode in ("append", "overwrite") else {"keys": "id"}),
            **({"column-type": f"parent=bigint NOT NULL REFERENCES shop.{table.parent}"} if table.created else {}),
        }
        for table in reversed(referencing(trial))
    ]
    return json.dumps({"format": "parquet", "tables": [*entries, target]})
