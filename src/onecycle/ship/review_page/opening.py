"""A review of a learner's data: what is searched, and where decisions are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from onecycle.data.categories import ClassTarget
from onecycle.data.corrections import Corrections
from onecycle.data.new_items import NewItems, rows_of
from onecycle.review.decisions import CORRECTIONS, Decisions
from onecycle.review.journal import Journal, journal_beside
from onecycle.review.pool import PoolJudgements, not_yet_judged
from onecycle.review.rankings.doubtful_labels import doubtful_labels
from onecycle.review.rankings.near_duplicates import near_duplicates
from onecycle.review.searches import AnswerSearch, PoolSearch, RankingSearch, Search
from onecycle.review.session import Review
from onecycle.review.versions import current_version
from onecycle.ship.serve.served import digest_of, load_served
from onecycle.vision.images import Images

if TYPE_CHECKING:
    from onecycle.train.learner import Learner


@contextmanager
def open_review(learner: Learner, folder: Path, *, pool: NewItems | None = None, most: int = 100) -> Iterator[Review]:
    """Give a review whose decisions are kept in a folder; it searches once it is started.

    Args:
        learner: The model and the data.
        folder: Where decisions are kept.
        pool: New items without labels.
        most: The most cards of a kind.
    Raises:
        ModelError: It is a language model.
        DataError: The decisions in the folder cannot be read, or there are no new items.
    """
    load_served(learner.predictor())  # refuses what has no labels to look at
    searches = searches_of(learner, most)
    judgements = None
    with ExitStack() as stack:
        if pool is not None:
            bundle = current_version(folder)
            rows = rows_of(pool, learner.data.modality)
            journal = stack.enter_context(Journal(journal_beside(bundle)))
            judgements = PoolJudgements(journal, digest_of(bundle) if bundle.exists() else "")
            searches.append(PoolSearch(learner, learner.data.dataset_of(not_yet_judged(rows, journal)), most))
        yield Review(Decisions(Corrections.open(folder / CORRECTIONS), judgements), searches, most=most)


def searches_of(learner: Learner, most: int) -> list[Search]:
    """Return what is searched in one's own data, the quickest first."""
    searches: list[Search] = [AnswerSearch(learner)]
    if isinstance(learner.target, ClassTarget):
        searches.append(RankingSearch("doubtful", lambda: doubtful_labels(learner).head(most)))
    if isinstance(learner.data.modality, Images):
        searches.append(RankingSearch("duplicates", lambda: near_duplicates(learner)))
    return searches
