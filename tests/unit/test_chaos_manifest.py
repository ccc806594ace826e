"""make chaos: the manifest of a release."""

from __future__ import annotations

import json
from pathlib import Path

from chaos.jobs.manifest import manifest
from chaos.plan.draw import draw
from chaos.plan.flows import RELEASE

TRIAL = next(trial for trial in map(draw, range(1, 2_000)) if trial.flow == RELEASE)


def test_the_rows_of_a_release_bear_its_name() -> None:
    [grandchild, *_, target] = json.loads(manifest(TRIAL, Path("folder"), "x", {"table": "shop.target"}))["tables"]
    assert (grandchild["table"], target["table"]) == ("shop.grandchild", "shop.target")
    assert "'x' AS release" in grandchild["select"]
