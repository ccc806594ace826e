"""Draw the figures in docs/ and in the README: `make bench-pictures`, after `make bench`.

What was measured last, at each scale, is copied to docs/assets/performance.json; tables and pictures are made from that
file alone. So the command can be run without having measured, for example after a change of how they look.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.places import RESULTS, ROOT
from bench.plan import catalogue
from bench.results import goals, page
from bench.results.figures import median

if TYPE_CHECKING:
    from collections.abc import Mapping

ASSETS = ROOT / "docs" / "assets"
FIGURES = ASSETS / "performance.json"
CAPTURE = ASSETS / "performance-capture.json"
LEAST_SCALE = 0.1
PAGES = ("docs/performance.md", "docs/scaling.md", "README.md")


def main() -> int:
    """Copy the figures, and draw them. Return the exit status."""
    stored = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    stored.update({path.stem.partition("-")[2]: json.loads(path.read_text()) for path in measured(RESULTS)})
    if not stored:
        print("bench: there are no figures. `make bench` makes them.", file=sys.stderr)
        return 1
    captured = RESULTS / "capture.json"
    if captured.exists():
        CAPTURE.write_text(captured.read_text())
    FIGURES.write_text(json.dumps(dict(sorted(stored.items())), indent=1) + "\n")
    texts, pictures = drawn(stored)
    if CAPTURE.exists():
        texts["capture"] = page.capture(json.loads(CAPTURE.read_text()))
    for name, picture in pictures.items():
        (ASSETS / f"{name}.svg").write_text(picture)
    for file in PAGES:
        before = after = (ROOT / file).read_text()
        for name, text in texts.items():
            if f"<!-- figures: {name} -->" in after:
                after = page.insert(after, name, text)
        if after != before:
            (ROOT / file).write_text(after)
            print(f"bench: drawn in {file}")
    return 0


def drawn(stored: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts by the names of their places, and the pictures by the names of their files."""
    abouts = {float(scale): one["about"] for scale, one in stored.items()}
    scales = {float(scale): page.by_way(one) for scale, one in stored.items()}
    texts, pictures = {}, {}
    for name, (ways, jdbc) in catalogue.TABLES.items():
        found = page.best(scales, ways)
        if found is not None:
            scale, runs = found
            file = f"performance-{name.replace(' ', '-')}"
            title = f"Seconds: {name}, scale {scale:g}"
            pictures[file] = page.bars_of(title, runs)
            texts[name] = f"![{title}](assets/{file}.svg)\n\n{page.table(runs, jdbc, abouts[scale])}"
    summary = page.summary(scales, abouts)
    if summary is not None:
        texts["summary"] = summary
    growth = page.growth(scales)
    if growth is not None:
        pictures["performance-growth"] = growth
        texts["growth"] = "![Seconds for a million rows, by scale](assets/performance-growth.svg)"
    if page.best(scales, page.COSTS) is not None:
        texts["costs"] = page.costs(scales, {scale: about["data"]["rows"] for scale, about in abouts.items()})
    texts["goals"] = page.verdicts([_judged(goal, scales) for goal in goals.GOALS])
    return texts, pictures


def _judged(goal: goals.Goal, scales: Mapping[float, page.Runs]) -> tuple[float, goals.Judged]:
    """Judge a goal by the largest scale at which it was measured."""
    for scale in sorted(scales, reverse=True):
        reached = goals.reached(goal, {way: median(runs) for way, runs in scales[scale].items()})
        if reached is not None:
            return scale, goals.Judged(goal, reached)
    return 0.0, goals.Judged(goal, None)


def measured(results: Path) -> list[Path]:
    """Return the files of what was measured last, at scales that are large enough to tell something."""
    scales = {path: path.stem.partition("-")[2] for path in sorted(results.glob("scale-*.json"))}
    return [path for path, scale in scales.items() if "-until-" not in scale and float(scale) >= LEAST_SCALE]


if __name__ == "__main__":
    sys.exit(main())
