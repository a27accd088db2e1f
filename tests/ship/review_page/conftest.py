"""Reviews of tiny untrained models, asked without a network."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from learners import photo_bunch, tag_bunch, tiny
from onecycle.train.learner import Learner

collect_ignore_glob = [] if importlib.util.find_spec("starlette") else ["test_*.py"]
Client = Any


@pytest.fixture(scope="session")
def learners(photos: Path, tagged: Path) -> Callable[[str], Learner]:
    """Gives an untrained learner of a kind, which is made once."""
    made: dict[str, Learner] = {}
    makers: dict[str, Any] = {"photos": lambda: photo_bunch(photos), "tags": lambda: tag_bunch(tagged)}

    def learner(kind: str) -> Learner:
        if kind not in made:
            made[kind] = tiny(makers[kind]())
        return made[kind]

    return learner


@pytest.fixture
def ask(
    learners: Callable[[str], Learner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Client]]:
    """Gives a client of a review of a kind, once all is searched; what it decides is kept in `tmp_path`.

    Of one's own data only mistakes and unsure answers are searched, unless `everything` is.
    """
    from starlette.testclient import TestClient

    from onecycle.review.searches import AnswerSearch
    from onecycle.ship.review_page import opening
    from onecycle.ship.review_page.app import create_review_app

    with ExitStack() as stack:

        def client(kind: str, pool: Path | None = None, everything: bool = False, **options: Any) -> Client:
            if not everything:
                monkeypatch.setattr(opening, "searches_of", lambda learner, most: [AnswerSearch(learner)])
            review = stack.enter_context(opening.open_review(learners(kind), tmp_path, pool=pool))
            app = create_review_app(review, learners(kind), **options)
            base = {"base_url": "http://localhost", "raise_server_exceptions": False}
            asked = stack.enter_context(TestClient(app, **base))  # type: ignore[arg-type]
            if review._thread is not None:
                review._thread.join()
            return asked

        yield client
