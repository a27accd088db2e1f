"""Opens a review in a browser, and returns what was decided."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from onecycle.calls import explained
from onecycle.imports import without_collecting
from onecycle.ship.serve.listening import address_of, check_installed, listening, run_app, token_for, told_target

if TYPE_CHECKING:
    from onecycle.data.corrections import Corrections
    from onecycle.data.new_items import NewItems
    from onecycle.train.learner import Learner


@explained
def serve_review(
    learner: Learner,
    folder: str | Path = ".",
    *,
    pool: NewItems | None = None,
    host: str = "127.0.0.1",
    port: int = 8001,
    token: str | None = None,
    most: int = 100,
) -> Corrections:
    """Serve a page on which people go through their data, and return what they decided when it is stopped.

    Doubtful labels come first, then the worst mistakes, near-duplicates, unsure answers, and new items. Each decision
    is on the disk before the next item is shown: in `corrections.parquet`, and for new items in the journal.

    Args:
        learner: The model and the data.
        folder: Where decisions are kept: the folder of the run. Those that are there are not asked for again.
        pool: New items without labels: a folder, a list of files, or a list such as `ImageList.from_folder(...)`.
        host: The address to listen on. The default is reached from this machine only.
        port: The port; 0 takes a free one.
        token: What whoever asks must know. For other hosts than this machine one is made, if none is given.
        most: The most items of each kind.
    Raises:
        ModelError: The packages of the extra `serve` are not installed, or it is a language model.
        DataError: The port is taken, or the decisions that are there cannot be read.
    Example:
        >>> oc.serve_review(learner, "runs/photos", pool="new_photos/")  # doctest: +SKIP
        Review of photos (category, 4 classes) on http://127.0.0.1:8001/
        Decisions are written to runs/photos/corrections.parquet
    """
    check_installed()
    with without_collecting():
        from onecycle.review.journal import journal_beside
        from onecycle.review.versions import current_version
        from onecycle.ship.review_page.app import create_review_app
        from onecycle.ship.review_page.opening import open_review
        from onecycle.ship.serve.guard import LOOPBACK

    place = Path(folder)
    token = token or token_for(host)
    with ExitStack() as stack:
        listener = stack.enter_context(listening(host, port))
        review = stack.enter_context(open_review(learner, place, pool=pool, most=most))
        corrections = review.decisions.corrections
        written = str(corrections.path)
        if pool is not None:
            written += f", those about new items to {journal_beside(current_version(place))}"
        name = place.resolve().name
        app = create_review_app(
            review, learner, name=name, written=written, token=token, hosts=LOOPBACK if token is None else None
        )
        print(f"Review of {name} ({told_target(learner.target)}) on {address_of(listener, token)}", flush=True)
        print(f"Decisions are written to {written}", flush=True)
        run_app(app, listener)
    return corrections
