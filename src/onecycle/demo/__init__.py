"""Generates data sets in published layouts, whose labels can be learnt from their pixels or words."""

from onecycle.demo.heads import make_biwi
from onecycle.demo.jobs import jobs
from onecycle.demo.patterns import draw_pattern, make_patterns
from onecycle.demo.reviews import make_reviews
from onecycle.demo.satellite import GROUND, WEATHER, draw_tile, make_planet
from onecycle.demo.streets import make_camvid

__all__ = [
    "GROUND",
    "WEATHER",
    "draw_pattern",
    "draw_tile",
    "jobs",
    "make_biwi",
    "make_camvid",
    "make_patterns",
    "make_planet",
    "make_reviews",
]
