from __future__ import annotations

import re

from onecycle.ship.report.svg import Bars, Dots, Line, chart


def written(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg)


def test_an_axis_that_counts_has_whole_numbers_alone() -> None:
    line = Line("", [1, 2, 3], [10.0, 20.0, 30.0])
    assert {"1.5", "2.5"} <= set(written(chart([line], title="loss", x_range=(0.5, 3.5))))
    below = [text for text in written(chart([line], title="loss", x_range=(0.5, 3.5), whole=True)) if "." in text]
    assert below == []


def test_marks_do_not_touch_the_ends_of_the_vertical_axis() -> None:
    drawn = chart([Dots("", [1, 2], [0.2, 0.8])], title="loss")
    heights = [float(y) for y in re.findall(r'cy="([0-9.]+)"', drawn)]
    assert min(heights) > 12 + 5
    assert max(heights) < 250 - 38 - 5


def test_bars_stand_on_the_axis() -> None:
    drawn = chart([Bars("", [0, 1, 2], [3, 5])], title="errors")
    assert {
        float(y) + float(high) for y, high in re.findall(r'y="([0-9.]+)" width="[0-9.]+" height="([0-9.]+)"', drawn)
    } == {212}


def test_names_are_one_text_in_the_colours_of_their_marks() -> None:
    drawn = chart([Bars("", [0, 1], [1]), Line("a <b>", [0, 1], [0, 1]), Line("c", [0, 1], [1, 0])], title="two")
    legend = drawn[drawn.rindex("<text") :]
    assert re.findall(r'class="bar (c[0-9])">\u25a0</tspan> ([^ <]+)', legend.replace(" &lt;b&gt;", "")) == [
        ("c1", "a&#160;&#160;"),
        ("c2", "c"),
    ]
    assert re.findall(r'class="line (c[0-9])', drawn) == ["c1", "c2"]
