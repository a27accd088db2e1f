"""Charts as inline SVG: small, sharp in print, in the colours of the page, and without a script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 12, 38
COLOURS = 6
MOST_POINTS = 400


@dataclass(frozen=True)
class Line:
    """A line through points; None leaves a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    dashed: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Dots:
    """Points by themselves, each with a radius where `sizes` has one."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    sizes: Sequence[float] = ()


@dataclass(frozen=True)
class Bars:
    """Bars that stand side by side on 0, of one width."""

    name: str
    edges: Sequence[float]
    heights: Sequence[float]


@dataclass(frozen=True)
class Band:
    """A range of x that is shaded, with a short name above."""

    start: float
    stop: float
    name: str


Mark = Line | Dots | Bars


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start), 1)


def chart(
    marks: Sequence[Mark],
    *,
    title: str,
    x: str = "",
    y: str = "",
    bands: Sequence[Band] = (),
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    whole: bool = False,
) -> str:
    """Return a chart as an SVG element. All texts are escaped.

    Args:
        marks: What is drawn, each in a colour of its own.
        title: Read to who cannot see it.
        x: Name of the horizontal axis.
        y: Name of the vertical axis.
        bands: What is shaded behind.
        x_range: Ends of the horizontal axis; None takes those of the marks.
        y_range: Ends of the vertical axis; None leaves some room above and below the marks.
        whole: Whether the horizontal axis counts, so that only whole numbers are written below it.
    Example:
        >>> chart([Line("loss <b>", [1, 2], [0.5, 0.25])], title="loss").count("&lt;b&gt;")
        1
    """
    across = _Scale(*(x_range or _ends([value for mark in marks for value in _xs(mark)])), LEFT, WIDTH - RIGHT)
    names = [mark.name for mark in marks if mark.name]
    top = TOP + (14 if bands else 0) + (16 if names else 0)
    up = _Scale(*(y_range or _with_room(marks)), HEIGHT - BOTTOM, top)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" class="chart">']
    parts += [_band(band, across, top, number) for number, band in enumerate(bands)]
    parts += _axes(across, up, x, y, top, _ticks(across, least=1.0 if whole else 0.0))
    parts += [_drawn(mark, across, up, f"c{number % COLOURS}") for number, mark in enumerate(marks)]
    parts += _legend([(mark.name, f"c{number % COLOURS}") for number, mark in enumerate(marks) if mark.name])
    return "".join([*parts, "</svg>"])


def thinned(x: Sequence[float], y: Sequence[float | None]) -> tuple[list[float], list[float | None]]:
    """Return at most `MOST_POINTS` of the points, evenly chosen, the last one among them."""
    step = max(math.ceil(len(x) / MOST_POINTS), 1)
    places = [*range(0, len(x), step)]
    if places and places[-1] != len(x) - 1:
        places.append(len(x) - 1)
    return [x[place] for place in places], [y[place] for place in places]


def _xs(mark: Mark) -> Sequence[float]:
    return mark.edges if isinstance(mark, Bars) else mark.x


def _ys(mark: Mark) -> Sequence[float]:
    return [0.0, *mark.heights] if isinstance(mark, Bars) else [one for one in mark.y if one is not None]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    if low == high:
        return low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    return low, high


def _with_room(marks: Sequence[Mark]) -> tuple[float, float]:
    """Return the ends of the vertical axis, with a twentieth more on both sides; 0 stays an end."""
    low, high = _ends([value for mark in marks for value in _ys(mark)])
    room = (high - low) / 20
    return low if low == 0 else low - room if low < 0 else max(low - room, 0.0), high if high == 0 else high + room


def _ticks(scale: _Scale, most: int = 6, least: float = 0.0) -> list[float]:
    span = scale.high - scale.low
    step = 10 ** math.floor(math.log10(span / most))
    step *= next(factor for factor in (1, 2, 5, 10, 20) if span / (step * factor) <= most)
    step = max(step, least)
    first = math.ceil(scale.low / step - 1e-9)
    return [number * step for number in range(first, math.floor(scale.high / step + 1e-9) + 1)]


def _axes(across: _Scale, up: _Scale, x: str, y: str, top: float, below: Sequence[float]) -> list[str]:
    parts = []
    for value in _ticks(up, 5):
        place = up(value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place}" y2="{place}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{place + 3}" text-anchor="end">{value:.4g}</text>')
    for value in below:
        parts.append(f'<text x="{across(value)}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{value:.4g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x)}</text>')
    middle = (top + HEIGHT - BOTTOM) / 2
    turned = f'transform="rotate(-90 12 {middle})"'
    parts.append(f'<text x="12" y="{middle}" text-anchor="middle" {turned}>{escape(y)}</text>')
    return parts


def _band(band: Band, across: _Scale, top: float, number: int) -> str:
    start, stop = across(band.start), across(band.stop)
    height = HEIGHT - BOTTOM - top
    return (
        f'<rect x="{start}" y="{top}" width="{round(stop - start, 1)}" height="{height}" class="band b{number % 2}"/>'
        f'<text x="{(start + stop) / 2}" y="{top - 4}" text-anchor="middle">{escape(band.name)}</text>'
    )


def _drawn(mark: Mark, across: _Scale, up: _Scale, colour: str) -> str:
    if isinstance(mark, Bars):
        return "".join(
            f'<rect x="{across(low)}" y="{up(height)}" width="{max(round(across(high) - across(low) - 1, 1), 0.5)}" '
            f'height="{round(up(0) - up(height), 1)}" class="bar {colour}"/>'
            for low, high, height in zip(mark.edges, mark.edges[1:], mark.heights, strict=False)
        )
    points = [(across(x), up(y)) for x, y in zip(mark.x, mark.y, strict=True) if y is not None and math.isfinite(y)]
    if isinstance(mark, Dots):
        radii = mark.sizes or [1.6] * len(points)
        return "".join(
            f'<circle cx="{x}" cy="{y}" r="{radius:.1f}" class="dot {colour}"/>'
            for (x, y), radius in zip(points, radii, strict=False)
        )
    path = " ".join(f"{x},{y}" for x, y in points)
    dashed = " dashed" if mark.dashed else ""
    circles = [f'<circle cx="{x}" cy="{y}" r="2.5" class="dot {colour}"/>' for x, y in points] if mark.dots else []
    return f'<polyline points="{path}" class="line {colour}{dashed}"/>' + "".join(circles)


def _legend(names: Sequence[tuple[str, str]]) -> list[str]:
    """Return the names in one text, whose parts follow each other however wide the letters are."""
    parts = (f'<tspan class="bar {colour}">\u25a0</tspan> {escape(name)}' for name, colour in names)
    return [f'<text x="{LEFT}" y="12">', "&#160;&#160; ".join(parts), "</text>"] if names else []
