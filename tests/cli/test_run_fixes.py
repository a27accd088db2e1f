"""What `Fix:` says of the folder of a run, and of paths that are mistyped, is done, and works."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import onecycle as oc
from cli.conftest import Shell
from learners import tiny
from onecycle.cli import main

pytestmark = pytest.mark.slow

QUICK = "--sizes 32 --epochs 1 --batch-size 8"
PHOTO = "data/red/red_0.jpg"


class Case(NamedTuple):
    """A mistake, what is advised, and what follows when that is done.

    Attributes:
        change: Changes what is in the current folder: the data in `data/`, and a run on them in `run/`.
        given: The command.
        fix: What the advice says, a regular expression.
        then: The command as the advice says; None takes it from the advice; a function does what it says.
        found: What is printed in the end.
        again: Whether the command is given again.
    """

    change: Callable[[], Any]
    given: str
    fix: str
    then: str | Callable[[], Any] | None
    found: str
    again: bool = False


def nothing() -> None:
    """Change nothing."""


def away(*names: str) -> Callable[[], None]:
    def change() -> None:
        for name in names:
            Path(name).rename(f"kept-{Path(name).name}")

    return change


def back(name: str) -> Callable[[], Any]:
    return lambda: Path(f"kept-{Path(name).name}").rename(name)


def interrupted() -> None:
    """Make the run one that was killed before its first checkpoint."""
    for name in ("last.ckpt", "model.onecycle"):
        (Path("run") / name).unlink()
    write_options(finished=False)


def write_options(**options: Any) -> None:
    path = Path("run/run.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **options}))


def notes() -> None:
    Path("notes").mkdir()
    Path("notes/history.csv").write_text("mine")


def corrections() -> None:
    names = [str(path.relative_to("data")) for path in sorted(Path("data").rglob("*.jpg"))[:12]]
    oc.Corrections(path=Path("c.parquet")).append(names, "keep")  # every fifth is held back
    away("run/model.onecycle")()


NO_RUN, NO_MODEL = r"pass the --out of a run", r"wait for it, or .*: onecycle report run --out run$"
WRITTEN, PREDICTED, SERVED, REVIEWED = "Written to run/", f"{PHOTO}\t", "Serving model", "Review of"
IS_BACK = r"bring the data back to where it was"
CASES = {
    "report, no run": Case(nothing, "report nothing", NO_RUN, "report run", WRITTEN),
    "learn, no run": Case(nothing, "learn nothing", NO_RUN, "learn run", "There is no journal at run/model.journal"),
    "review, no run": Case(nothing, "review nothing", NO_RUN, "review run --port 0", REVIEWED),
    "report, checkpoints alone": Case(
        away("run/run.json"), "report run", r"restore it, or train again", back("run/run.json"), WRITTEN, True
    ),
    "resume, checkpoints alone": Case(
        away("run/run.json"), "train data --out run --resume", r"restore it", back("run/run.json"), "is finished", True
    ),
    "report, without its checkpoint": Case(
        away("run/last.ckpt"), "report run", r"restore it, or train again with the options in run\.json, --out run and",
        back("run/last.ckpt"), WRITTEN, True,
    ),
    "report, killed before its checkpoint": Case(
        interrupted, "report run", r"go on with it: onecycle train \S+/data --out run --resume$", None, WRITTEN
    ),
    "report, data gone": Case(away("data"), "report run", IS_BACK, back("data"), WRITTEN, True),
    "review, data moved": Case(
        away("data"), "review run --port 0", r'or write where it is now as "data" into run/run\.json',
        lambda: write_options(data=str(Path("kept-data").resolve())), REVIEWED, True,
    ),
    "learn, data gone": Case(away("data"), "learn run", IS_BACK, back("data"), "There is no journal", True),
    "export, data gone": Case(away("data"), "export run x.pt2", IS_BACK, back("data"), "proved on", True),
    "predict, no model": Case(away("run/model.onecycle"), f"predict run {PHOTO}", NO_MODEL, None, PREDICTED, True),
    "serve, no model": Case(away("run/model.onecycle"), "serve run --port 0", NO_MODEL, None, SERVED, True),
    "info, no model": Case(away("run/model.onecycle"), "info run", NO_MODEL, None, "predicts category", True),
    "no such items": Case(
        nothing, "export run x.pt2 --items reds", r"check the path", "export run x.pt2 --items data/red", "proved on"
    ),
    "learn, no model": Case(corrections, "learn run --corrections c.parquet", NO_MODEL, None, WRITTEN),
    "predict, no model in a folder": Case(
        lambda: Path("empty").mkdir(), f"predict empty {PHOTO}", r"pass the --out of a run, or a model\.",
        f"predict run {PHOTO}", PREDICTED,
    ),
    "predict, a folder of runs": Case(nothing, f"predict . {PHOTO}", r"pass run\.", f"predict run {PHOTO}", PREDICTED),
    "predict, nowhere": Case(nothing, f"predict rnu {PHOTO}", r"check the path", f"predict run {PHOTO}", PREDICTED),
    "info, nowhere": Case(nothing, "info rnu", r"check the path", "info run", "predicts category: blue, green, red"),
    "serve, nowhere": Case(nothing, "serve rnu --port 0", r"check the path", "serve run --port 0", SERVED),
    "undo, nowhere": Case(
        nothing, "learn nothing --undo", r"pass the --out of such a run", "learn run --undo",
        "model.onecycle is what was trained",
    ),
    "undo, the first version": Case(
        nothing, "learn run --undo", r"leave --undo out", "learn run", "There is no journal"
    ),
    "no such journal": Case(
        nothing, "learn run --journal nowhere", r"check --journal, or leave it out", "learn run",
        "There is no journal at run/model.journal",
    ),
    "no such corrections": Case(
        corrections, "learn run --corrections d.parquet", r"check the path", "learn run --corrections c.parquet",
        "has no model.onecycle yet",
    ),
    "no such checkpoint": Case(
        nothing, "report run --checkpoint lst.ckpt", r"check the path", "report run --checkpoint run/last.ckpt", WRITTEN
    ),
    "no such pool": Case(
        nothing, "review run --pool new --port 0", r"check the path", "review run --pool data --port 0", REVIEWED
    ),
    "no such input": Case(
        nothing, "predict run data/red/none.jpg", r"check the path", f"predict run {PHOTO}", PREDICTED
    ),
    "no such data": Case(
        nothing, "check daat", r"check the path\. Did you mean 'data'\?", "check data", "3 classes: blue, green, red"
    ),
    "resume, finished": Case(
        nothing, "train data --out run --resume", r"leave --resume out", f"train data {QUICK}", "Written to runs/data/"
    ),
    "resume, other data": Case(
        interrupted, "train data/red --out run --resume", r"pass \S+/data as the data", "train data --out run --resume",
        WRITTEN,
    ),
    "resume, files that are of no run": Case(
        notes, f"train data --out notes --resume {QUICK}", r"pass another --out, .*, or add --overwrite",
        f"train data --out other --resume {QUICK}", "Written to other/",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos and a run on them."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(photos, folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oc, "vision_learner", tiny, raising=False)
        patch.chdir(folder)
        with pytest.raises(SystemExit) as caught:
            main(["train", "data", *QUICK.split(), "--out", "run"])
    assert not caught.value.code
    return folder


@pytest.mark.parametrize("name", CASES)
def test_what_fix_says_of_a_run_works(
    name: str, shell: Shell, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oc, "vision_learner", tiny, raising=False)
    monkeypatch.setattr(
        "onecycle.ship.report.results._write_numbers_and_pictures", lambda *given: {}
    )  # drawing takes long
    for page in ("serve", "review_page"):
        monkeypatch.setattr(f"onecycle.ship.{page}.server.run_app", lambda *given, **options: None)
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    write_options(data=str(tmp_path / "data"))
    case = CASES[name]
    case.change()
    refused = shell(*shlex.split(case.given))
    assert refused.code == 2, refused.out
    fix = next(line for line in refused.err.splitlines() if line.startswith("Fix: "))
    assert re.search(case.fix, fix), refused.err
    done = refused
    if callable(case.then):
        case.then()
    else:
        command = fix.partition("onecycle ")[2] if case.then is None else case.then
        done = shell(*shlex.split(command))
    if case.again:
        done = shell(*shlex.split(case.given))
    assert case.found in done.out + done.err, done.out + done.err


def test_files_that_are_of_no_run_are_not_overwritten(shell: Shell, photos: Path) -> None:
    notes()
    refused = shell("train", photos, "--out", "notes", "--resume")
    assert refused.code == 2
    assert refused.err.startswith("notes exists, with history.csv in it.\n")
    assert Path("notes/history.csv").read_text() == "mine"
