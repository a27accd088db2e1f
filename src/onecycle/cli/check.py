"""`onecycle check`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onecycle.cli.command_options import read_options, takes_shell_options
from onecycle.cli.run_folder import RunFolder, run_folder_of, unused_folder
from onecycle.cli.run_items import is_safe, pipeline_of_run
from onecycle.cli.train import Data, look_at
from onecycle.cli.training import readable_checkpoint
from onecycle.data.remote import as_local
from onecycle.imports import without_collecting
from onecycle.recipes.options import FineTuneOptions

if TYPE_CHECKING:
    from onecycle.review.rankings.ranking import Ranking
    from onecycle.train.learner import Learner


@takes_shell_options(FineTuneOptions, panels=("Data",))
def check(
    data: Data,
    doubtful: Annotated[
        bool, typer.Option("--doubtful", help="List labels that may be wrong: of classes and tags.")
    ] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="List near-copies of images, and what those in both splits do.")
    ] = False,
    **options: Any,
) -> None:
    """Read every item as training would, and list broken files, unusual labels and duplicates.

    DATA may be the folder of a run: then its split and its model are looked at.
    """
    run = RunFolder(data) if (data / "run.json").is_file() else None
    if run is not None:
        data, options = run.read_options()
    chosen = replace(read_options(FineTuneOptions, options), on_bad_item="skip")
    place = as_local(data)
    layout = look_at(place, chosen)
    with without_collecting():
        from onecycle.recipes.task import best_of, build_pipeline
    pipeline = build_pipeline(place, chosen, layout)
    items = pipeline.find_items()
    typer.echo(repr(items))
    labelled = pipeline.label(items)
    if run is not None and (as_before := pipeline_of_run(pipeline, run.path, labelled)) is not pipeline:
        labelled = as_before.label(items)
    typer.echo(repr(labelled))
    report = labelled.databunch(on_bad_item="skip", workers=0, cache=None).check()
    typer.echo(repr(report))
    if doubtful or duplicates:
        learner = pipeline.make_learner(labelled)
        if run is not None and (checkpoint := readable_checkpoint(run)) is not None:
            best_of(learner, pipeline, checkpoint, allow_other_split=is_safe(run.path, labelled))
        _show_rankings(learner, run.path if run else None, data, doubtful=doubtful, duplicates=duplicates)
    if report.broken:
        raise typer.Exit(2)


def _show_rankings(learner: Learner, run: Path | None, data: Path, *, doubtful: bool, duplicates: bool) -> None:
    """Print what is worth a look, and write tables and pictures into a new folder."""
    import onecycle as oc

    found: dict[str, Ranking] = {}
    if doubtful:
        found["doubtful_labels"] = oc.doubtful_labels(learner)
    if duplicates:
        copies = oc.near_duplicates(learner)
        found |= {"near_duplicates": copies, "leaks": copies.leaks, "very_similar": copies.similar}
    folder = unused_folder(run / "check" if run else run_folder_of(data).with_name(f"{run_folder_of(data).name}-check"))
    for name, ranking in found.items():
        if not len(ranking) and name in ("leaks", "very_similar"):
            continue
        typer.echo(_in_shell_words(ranking))
        ranking.to_csv(folder / f"{name}.csv")
        if len(ranking):
            ranking.show().savefig(folder / f"{name}.png", dpi=110)
    typer.echo(f"Written to {folder}/: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def _in_shell_words(ranking: Ranking) -> str:
    pattern = getattr(ranking, "group_pattern", None)
    return repr(ranking).replace(f"split_by_group(pattern={pattern!r})", f"--group {shlex.quote(str(pattern))}")
