"""`onecycle learn`."""

from __future__ import annotations

import shlex
from collections import Counter
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onecycle.cli.opened_run import open_run
from onecycle.cli.run_folder import RunFolder
from onecycle.errors import DataError, counted
from onecycle.review.versions import FIRST, current_version, next_version, undo_version

if TYPE_CHECKING:
    from onecycle.data.judged import Source
    from onecycle.train.learned import Learned
    from onecycle.train.learner import Learner

FEATURES = "features.bundle"


def learn(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that onecycle train wrote.")],
    corrections: Annotated[
        Path | None,
        typer.Option(
            help="Learn from this Parquet or CSV file of corrections alone. Default: what was decided in onecycle "
            "review RUN, together with the journal."
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            help="Learn from this folder of what people said alone. Default: the one of onecycle serve RUN, together "
            "with what was decided in onecycle review RUN."
        ),
    ] = None,
    only_corrections: Annotated[
        bool,
        typer.Option(
            "--only-corrections",
            help="Train on the corrected items alone, at three times the rate, and go back as far as others got worse.",
        ),
    ] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, max=100, help="Percentage points that each measured set may fall; more where chance explains it."
        ),
    ] = 1.0,
    undo: Annotated[bool, typer.Option("--undo", help="Take the newest version back, and learn nothing.")] = False,
) -> None:
    """Learn from answers that people corrected and confirmed; writes a new version of the model if none got worse."""
    if undo:
        kept, current = undo_version(run)
        typer.echo(f"{current} is in use again. What was taken back is kept as {kept.name}.")
        return
    data, _ = RunFolder(run).read_options()
    sources, records = find_sources(run, corrections, journal)
    parent = current_version(run)
    asked = {"sources": records, "only_corrections": only_corrections}
    if has_learned(parent, asked):
        typer.echo(f"Nothing was judged since {parent} learned, so there is no new version.")
        return
    learner = open_run(run)
    take_version(learner, parent)
    _tell_new_classes(learner, data, sources)
    learned = _learn(learner, run, sources, only_corrections=only_corrections, tolerance=tolerance)
    typer.echo(repr(learned))
    typer.echo(f"Took {learned.seconds:.1f} s.")
    typer.echo(f"Written to {run}/: {', '.join(path.name for path in learned.write(_numbered(run)))}")
    if learned.accepted:
        made = write_version(learner, run, parent, learned, asked)
        typer.echo(f"The model in use is {made}. To take it back: onecycle learn {run} --undo")
    else:
        typer.echo(f"The model in use is still {parent}.")


def _tell_new_classes(learner: Learner, data: Path, sources: list[Source]) -> None:
    """Print which labels the model does not have, and the command that trains one that has them."""
    from onecycle.data.corrections import Corrections
    from onecycle.review.journal import INPUTS, Journal
    from onecycle.train.judgements import new_classes

    for source in sources:
        found = new_classes(source, learner.data)
        train = f"onecycle train {shlex.quote(str(data))}"
        if isinstance(source, Corrections):
            train += f" --corrections {shlex.quote(str(source.path))}"
        elif isinstance(source, Journal):
            train = f"copy the files from {source.folder / INPUTS} to their classes in the data, and run {train}"
        for name, items in found.items():
            typer.echo(
                f"Note: {counted(items, 'item')} of {name!r}, a class that the model does not have. Learning adds no "
                f"class; to train a model that has it: {train}", err=True,
            )  # fmt: skip


def _learn(learner: Learner, run: Path, sources: list[Source], **options: Any) -> Learned:
    """Learn on features that the round before has kept, where they still are of this model and its data."""
    from onecycle.train.features_file import read_features, write_features

    known = read_features(learner.state, run / FEATURES)
    features = learner.state.cached_features
    try:
        return learner.learn(sources, **options)
    finally:
        if not known and learner.state.cached_features is not features:
            write_features(learner.state, run / FEATURES)


def take_version(learner: Learner, bundle: Path) -> None:
    """Give a learner the weights of a version of its model, and its threshold.

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


def write_version(learner: Learner, run: Path, parent: Path, learned: Learned, asked: dict[str, Any]) -> Path:
    """Write the next version of a run's model; its card names its parent, and what it learned from."""
    from onecycle.ship.serve.served import digest_of
    from onecycle.train.export import export_model

    kinds = ", ".join(one["source"] for one in asked["sources"])
    card = {
        "parent": parent.name, "parent_sha256": digest_of(parent), "learned": learned.to_dict(),
        "learned_from": {"source": kinds, "first": learned.first, "last": learned.last, **learned.trained, **asked},
    }  # fmt: skip
    return export_model(learner.state, next_version(run), card=card)


def has_learned(version: Path, asked: dict[str, Any]) -> bool:
    """Return whether a version learned from just what is asked for now, as its card says."""
    if version.name == FIRST:
        return False
    from onecycle.bundle import read_bundle

    known = read_bundle(version, "model")[1].get("card", {}).get("learned_from", {})
    return all(known.get(name) == value for name, value in asked.items())


def find_sources(run: Path, corrections: Path | None, journal: Path | None) -> tuple[list[Source], list[Any]]:
    """Return what is learned from, and its records for the card; print what each says, and what is not used.

    Raises:
        DataError: There is nothing, or nothing was judged.
    """
    from onecycle.data.corrections import Corrections
    from onecycle.data.judged import nothing_to_learn, read_said
    from onecycle.review.decisions import CORRECTIONS
    from onecycle.review.journal import DATABASE, Journal, journal_beside

    table, folder = run / CORRECTIONS, journal_beside(run / FIRST)
    there = [path for path, file in ((folder, folder / DATABASE), (table, table)) if file.is_file()]
    named = [path for path in (journal, corrections) if path is not None]
    if journal is not None and not (journal / DATABASE).is_file():
        raise DataError(
            f"There is no journal at {journal}.", "the folder that onecycle serve keeps what people say in.",
            "check --journal, or leave it out to take the one beside the model.",
        )  # fmt: skip
    if not (named or there):
        raise DataError(
            f"There is no journal at {folder}: nobody has judged an answer of this model.",
            "what onecycle serve keeps beside the model, or a file of corrections.",
            f"run onecycle serve {run}, and say there which answers are right and which are wrong.",
        )
    chosen = named or there
    sources: list[Source] = [
        Corrections.read(path) if path in (corrections, table) else Journal(path) for path in chosen
    ]
    said = [read_said(source) for source in sources]
    for path, one in zip(chosen, said, strict=True):
        typer.echo(f"# Learning from {path}: {one}.")
    for path in there:
        if path.absolute() not in {one.absolute() for one in chosen}:
            typer.echo(f"Warning: {path} is there too, and is NOT used. To learn from both, name neither.", err=True)
    if not any(one.words for one in said):
        raise nothing_to_learn(sum((one.unused for one in said), Counter()))
    return sources, [one.record for one in said]


def _numbered(run: Path) -> Path:
    return next(run / f"learned-{number}" for number in count(1) if not (run / f"learned-{number}.json").exists())
