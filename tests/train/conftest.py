"""What all tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from onecycle.train import features


@pytest.fixture(scope="module", autouse=True)
def _few_head_steps() -> Iterator[None]:
    """The head passes over kept features a few times, not for hundreds of steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "HEAD_STEPS", 12)
        yield
