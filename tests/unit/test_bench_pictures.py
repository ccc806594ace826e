from __future__ import annotations

from xml.etree import ElementTree as ET

from bench.results.pictures import JDBC, LEFT, OURS, RIGHT, WIDTH, Bar, Line, bars, lines

SVG = "{http://www.w3.org/2000/svg}"


def test_the_longest_bar_fills_the_width_and_others_are_shorter_in_proportion() -> None:
    drawn = bars("a <title>", [Bar("ours", 5.0, 5.0, 5.0, OURS), Bar("jdbc", 10, 10, 10, JDBC)])
    picture = ET.fromstring(drawn)  # noqa: S314 - our own text
    widths = [float(bar.attrib["width"]) for bar in picture.iter(f"{SVG}rect")]
    assert widths == [(WIDTH - LEFT - RIGHT) / 2, WIDTH - LEFT - RIGHT]
    assert [text.text for text in picture.iter(f"{SVG}text")] == ["a <title>", "ours", "5", "jdbc", "10"]


def test_a_bar_of_several_runs_shows_its_spread_within_the_picture() -> None:
    picture = ET.fromstring(bars("t", [Bar("a", 5.0, 4.0, 8.0), Bar("b", 6.0, 6.0, 6.0)]))  # noqa: S314 - our own text
    [spread] = picture.iter(f"{SVG}line")
    width = (WIDTH - LEFT - RIGHT) / 8
    assert (float(spread.attrib["x1"]), float(spread.attrib["x2"])) == (LEFT + 4 * width, LEFT + 8 * width)


def test_lines_have_a_point_for_each_value_at_the_place_of_its_x() -> None:
    ours, jdbc = Line("ours", {0.1: 1.0, 1.0: 2.0, 3.0: 4.0}, OURS), Line("jdbc", {1.0: 3.0, 3.0: 3.0}, JDBC)
    picture = ET.fromstring(lines("t", "scale", [ours, jdbc]))  # noqa: S314 - our own text
    dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in picture.iter(f"{SVG}circle")]
    assert len(dots) == 5
    assert [x for x, _ in dots[1:3]] == [x for x, _ in dots[3:]]
    heights = [y for _, y in dots[:3]]
    assert heights == sorted(heights, reverse=True)


def test_a_picture_has_colours_for_light_and_for_dark() -> None:
    assert "prefers-color-scheme: dark" in bars("t", [Bar("a", 1, 1, 1)])
