"""Pictures of figures, as SVG: bars with their spread, and lines. Values in, text out.

Colours follow the reader's choice of light or dark. A picture loads nothing and has no background, so it fits any page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OURS, JDBC, OTHERS = "ours", "jdbc", "others"
"""The colours."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .small { font-size: 11px }
.ours { fill: #0969da; stroke: #0969da } .jdbc { fill: #bc4c00; stroke: #bc4c00 }
.others { fill: #8c959f; stroke: #8c959f }
.bar, .dot { stroke: none } .line { fill: none; stroke-width: 2 } .axis { stroke: #8c959f } .spread { stroke: #24292f }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .spread { stroke: #e6edf3 }
.ours { fill: #4493f8; stroke: #4493f8 } .jdbc { fill: #f0883e; stroke: #f0883e }
.others { fill: #6e7681; stroke: #6e7681 }
.bar, .dot { stroke: none } .line { fill: none }
}
"""
WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 820, 350, 70, 40, 26, 16
"""In pixels: the picture, the space for names and for values, the title, a row, its bar."""
LINES_HEIGHT, LINES_LEFT, LINES_RIGHT, LINES_BOTTOM = 260, 50, 230, 40


class Bar(NamedTuple):
    """A bar, and the smallest and largest value that were measured."""

    name: str
    value: float
    low: float
    high: float
    colour: str = OTHERS


class Line(NamedTuple):
    """A line, as values of y by x."""

    name: str
    points: Mapping[float, float]
    colour: str = OTHERS


def bars(title: str, values: Sequence[Bar]) -> str:
    """Return a picture of bars, one below the other."""
    scale = (WIDTH - LEFT - RIGHT) / max(bar.high for bar in values)
    shapes = [_text(0, 18, title, "title")]
    for number, bar in enumerate(values):
        top = TOP + number * ROW
        middle, end = top + BAR / 2, LEFT + bar.value * scale
        shapes.append(_text(LEFT - 8, middle + 4, bar.name, anchor="end"))
        shapes.append(
            f'<rect class="bar {bar.colour}" x="{LEFT}" y="{top}" width="{bar.value * scale:.1f}" height="{BAR}"/>'
        )
        if bar.high > bar.low:
            low, high = LEFT + bar.low * scale, LEFT + bar.high * scale
            shapes.append(
                f'<line class="spread" x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" stroke-width="1.5"/>'
            )
        shapes.append(_text(max(end, LEFT + bar.high * scale) + 6, middle + 4, f"{bar.value:.3g}"))
    return _picture(title, TOP + len(values) * ROW, shapes)


def lines(title: str, x_axis: str, values: Sequence[Line]) -> str:
    """Return a picture of lines from zero up; the values of x lie at equal distances."""
    places = sorted({x for line in values for x in line.points})
    highest = max(y for line in values for y in line.points.values())
    step = (WIDTH - LINES_LEFT - LINES_RIGHT) / max(len(places) - 1, 1)
    bottom = LINES_HEIGHT - LINES_BOTTOM

    def x_of(x: float) -> float:
        return LINES_LEFT + places.index(x) * step

    def y_of(y: float) -> float:
        return bottom - y / highest * (bottom - TOP)

    shapes = [_text(0, 18, title, "title"), _text(LINES_LEFT, LINES_HEIGHT - 6, x_axis, "small")]
    shapes.append(f'<line class="axis" x1="{LINES_LEFT}" y1="{bottom}" x2="{WIDTH - LINES_RIGHT}" y2="{bottom}"/>')
    shapes += [_text(x_of(x), bottom + 16, f"{x:g}", "small", anchor="middle") for x in places]
    shapes += [_text(LINES_LEFT - 8, y_of(y) + 4, f"{y:.2g}", "small", anchor="end") for y in (0, highest / 2, highest)]
    for line in values:
        points = [(x_of(x), y_of(y)) for x, y in sorted(line.points.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        shapes.append(f'<polyline class="{line.colour} line" points="{path}"/>')
        shapes += [f'<circle class="dot {line.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
        shapes.append(_text(points[-1][0] + 10, points[-1][1] + 4, line.name))
    return _picture(title, LINES_HEIGHT, shapes)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(title: str, height: float, shapes: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *shapes, "</svg>", ""])
