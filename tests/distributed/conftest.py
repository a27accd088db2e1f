"""Processes that train together, kept alive from test to test: to start them takes five seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from group import Group


@pytest.fixture(scope="session")
def pair() -> Iterator[Group]:
    """Two processes, joined by gloo."""
    with Group(2) as group:
        yield group


@pytest.fixture(scope="session")
def four() -> Iterator[Group]:
    """Four processes, joined by gloo."""
    with Group(4) as group:
        yield group
