"""`onecycle learn`."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onecycle.cli.opened_run import open_run
from onecycle.cli.run_folder import RunFolder
from onecycle.errors import DataError
from onecycle.review.versions import FIRST, current_version, next_version, undo_version

if TYPE_CHECKING:
    from onecycle.train.learned import Learned
    from onecycle.train.learner import Learner

FEATURES = "features.bundle"


def learn(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that onecycle train wrote.")],
    corrections: Annotated[
        Path | None,
        typer.Option(
            help="Learn from this Parquet or CSV file of corrections. Default: the journal; without one, what was "
            "decided in onecycle review."
        ),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Folder of what people said. Default: the one of onecycle serve RUN.")
    ] = None,
    only_corrections: Annotated[
        bool,
        typer.Option(
            "--only-corrections",
            help="Train on the corrected items alone, at three times the rate, and go back as far as others got worse.",
        ),
    ] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, max=100, help="Percentage points that may be lost on others, beyond chance.")
    ] = 1.0,
    undo: Annotated[bool, typer.Option("--undo", help="Take the newest version back, and learn nothing.")] = False,
) -> None:
    """Learn from answers that people corrected and confirmed; writes a new version of the model if none got worse."""
    if undo:
        kept, current = undo_version(run)
        typer.echo(f"{current} is in use again. What was taken back is kept as {kept.name}.")
        return
    RunFolder(run).read_options()
    source = _source(run, corrections, journal)
    learner = open_run(run)
    parent = current_version(run)
    known = take_version(learner, parent)
    learned = _learn(learner, run, source, only_corrections=only_corrections, tolerance=tolerance)
    if known.get("learned_from") == learned_from(learned, source):
        typer.echo(f"Nothing was judged since {parent} learned, so there is no new version.")
        return
    typer.echo(repr(learned))
    typer.echo(f"Took {learned.seconds:.1f} s.")
    typer.echo(f"Written to {run}/: {', '.join(path.name for path in learned.write(_numbered(run)))}")
    if learned.accepted:
        made = write_version(learner, run, parent, learned, source)
        typer.echo(f"The model in use is {made}. To take it back: onecycle learn {run} --undo")
    else:
        typer.echo(f"The model in use is still {parent}.")


def _learn(learner: Learner, run: Path, source: Any, **options: Any) -> Learned:
    """Learn on features that the round before has kept, where they still are of this model and its data."""
    from onecycle.train.features_file import read_features, write_features

    known = read_features(learner.state, run / FEATURES)
    features = learner.state.cached_features
    try:
        return learner.learn(source, **options)
    finally:
        if not known and learner.state.cached_features is not features:
            write_features(learner.state, run / FEATURES)


def take_version(learner: Learner, bundle: Path) -> dict[str, Any]:
    """Give a learner the weights of a version of its model, and its threshold; return the version's card.

    Raises:
        BundleError: It cannot be read, or is of another model.
    """
    from onecycle.data.categories import MultiCategory
    from onecycle.data.target import same_labels
    from onecycle.ship.model import load_model

    version = load_model(bundle if bundle.exists() else bundle.parent, device=learner.state.device)
    if not same_labels(version.target, learner.target):
        raise DataError(
            f"{bundle} predicts {version.target.summary}, and the labels of the data are now another: "
            f"{learner.target.summary}.", "the data that the model was trained on.",
            "bring the data back as it was, or train again.",
        )  # fmt: skip
    learner.state.load_weights(version.model.state_dict())
    if isinstance(version.target, MultiCategory):
        learner.threshold = version.target.threshold
    return version.card


def write_version(learner: Learner, run: Path, parent: Path, learned: Learned, source: Any) -> Path:
    """Write the next version of a run's model; its card names its parent, and what it learned from."""
    from onecycle.ship.serve.served import digest_of
    from onecycle.train.export import export_model

    card = {
        "parent": parent.name, "parent_sha256": digest_of(parent), "learned_from": learned_from(learned, source),
        "learned": learned.to_dict(),
    }  # fmt: skip
    return export_model(learner.state, next_version(run), card=card)


def learned_from(learned: Learned, source: Any) -> dict[str, Any]:
    """Return what a version's card says of the judgements that it learned from."""
    kind = type(source).__name__.lower()
    return {"source": kind, "first": learned.first, "last": learned.last, **learned.trained}


def _source(run: Path, corrections: Path | None, journal: Path | None) -> Any:
    from onecycle.data.corrections import Corrections
    from onecycle.review.decisions import CORRECTIONS
    from onecycle.review.journal import DATABASE, Journal, journal_beside

    if corrections is not None:
        return Corrections.read(corrections)
    folder = journal or journal_beside(run / FIRST)
    if journal is not None and not (journal / DATABASE).is_file():
        raise DataError(
            f"There is no journal at {journal}.", "the folder that onecycle serve keeps what people say in.",
            "check --journal, or leave it out to take the one beside the model.",
        )  # fmt: skip
    if not (folder / DATABASE).is_file():
        if journal is None and (run / CORRECTIONS).is_file():
            typer.echo(f"# Learning from {run / CORRECTIONS}, since there is no journal.")
            return Corrections.read(run / CORRECTIONS)
        raise DataError(
            f"There is no journal at {folder}: nobody has judged an answer of this model.",
            "what onecycle serve keeps beside the model, or a file of corrections.",
            f"run onecycle serve {run}, and say there which answers are right and which are wrong.",
        )
    return Journal(folder)


def _numbered(run: Path) -> Path:
    return next(run / f"learned-{number}" for number in count(1) if not (run / f"learned-{number}.json").exists())
