"""`onecycle learn`: a run, answers that are judged, a new version beside the old one, and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from cli.conftest import Shell
from noisy_photos import COLOURS, draw
from onecycle.bundle import read_bundle
from onecycle.cli.opened_run import open_run
from onecycle.cli.run_items import read_items, splits_of
from onecycle.ship.serve.served import digest_of, load_served

TRAIN = ("--epochs", 1, "--sizes", 32, "--lr", "0.01", "--seed", 1, "--augment", "none", "--batch-size", 8)


@pytest.fixture
def run(photos: Path, shell: Shell, tmp_path: Path, _tiny_models: None) -> Path:
    """A run of a tiny model on a copy of the photos, that people have judged."""
    shutil.copytree(photos, tmp_path / "data")
    done = shell("train", tmp_path / "data", "--out", tmp_path / "run", *TRAIN)
    assert done.code == 0, done.err
    model = oc.load_model(tmp_path / "run")
    with oc.Journal(tmp_path / "run" / "model.journal") as journal:
        for name, colour in COLOURS.items():
            for number in range(8):
                path = tmp_path / "new" / f"{name}_{number}.jpg"
                draw(path, colour, seed=50 + number)
                said = model.predict(path).label
                key = journal.record(path.read_bytes(), name=path.name, suffix=".jpg", model="m", predicted=said)
                journal.judge(key, "right" if said == name else "wrong", None if said == name else name)
    return tmp_path / "run"


def weights(bundle: Path) -> dict[str, Any]:
    return {name: tensor.tolist() for name, tensor in read_bundle(bundle, "model")[0].items()}


def names_of(run: Path) -> list[str]:
    data = Path(json.loads((run / "run.json").read_text())["data"])
    return sorted(path.relative_to(data).as_posix() for path in data.rglob("*.*") if path.is_file())


@pytest.mark.slow
def test_learn_undo_and_learn_again(run: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    served = load_served(run)
    first = (run / "model.onecycle").read_bytes()
    done = shell("learn", run, "--tolerance", 100)
    assert done.code == 0, done.err
    assert "Accepted: " in done.out
    assert "answers held back, new to both: " in done.out
    assert "learned by heart, no measure" in done.out or "corrected items" not in done.out
    assert f"The model in use is {run / 'model-2.onecycle'}. To take it back: onecycle learn {run} --undo" in done.out
    assert (run / "model.onecycle").read_bytes() == first
    # the card says where it comes from, and the report is kept
    card = oc.load_model(run).card
    assert card["parent"] == "model.onecycle"
    assert card["parent_sha256"] == digest_of(run / "model.onecycle")
    assert card["learned_from"]["source"] == "journal"
    assert [(one["source"], one["items"]) for one in card["learned_from"]["sources"]] == [("journal", 24)]
    assert card["learned_from"]["first"] <= card["learned_from"]["last"]
    kept = json.loads((run / "learned-1.json").read_text())
    assert kept["accepted"] is True
    assert [row["measured_on"] for row in kept["measured"]][:2] == ["answers held back, new to both", "validation set"]
    assert (run / "learned-1.csv").read_text().startswith('"measured_on","items","before","after"')
    # whoever serves the run takes the new version, and its answers go to the same journal
    assert served.state_now() != served.state
    assert load_served(run).path == run / "model-2.onecycle"
    # back, and the same again
    learned = weights(run / "model-2.onecycle")
    done = shell("learn", run, "--undo")
    assert done.code == 0, done.err
    assert (
        f"{run / 'model.onecycle'} is in use again. What was taken back is kept as model-2.undone.onecycle." in done.out
    )
    assert served.state_now() == served.state
    assert (run / "features.bundle").exists()
    done = shell("learn", run, "--tolerance", 100)
    assert done.code == 0, done.err
    assert weights(run / "model-3.onecycle") == learned
    assert oc.load_model(run).card["parent"] == "model.onecycle"
    # nothing new was judged, which is seen before the data and the model are loaded
    with monkeypatch.context() as patch:
        patch.setattr("onecycle.cli.learn.open_run", lambda run: pytest.fail("the data was loaded"))
        done = shell("learn", run, "--tolerance", 100)
    assert f"Nothing was judged since {run / 'model-3.onecycle'} learned, so there is no new version." in done.out
    assert not (run / "model-4.onecycle").exists()
    # what is decided in review is learned from beside the journal
    corrections = oc.Corrections.open(run / "corrections.parquet")
    corrections.append(names_of(run)[:10], "relabel", "green")
    done = shell("learn", run, "--tolerance", 100, "--journal", run / "model.journal")
    assert f"Warning: {run / 'corrections.parquet'} is there too, and is NOT used." in done.err
    assert "Nothing was judged since" in done.out
    done = shell("learn", run, "--tolerance", 100)
    assert done.code == 0, done.err
    assert "model.journal: 24 judged answers: " in done.out
    assert f"# Learning from {run / 'corrections.parquet'}: 10 decided items: 10 corrected." in done.out
    assert "used from the journal: " in done.out
    assert "used from the corrections: " in done.out
    assert oc.load_model(run).card["learned_from"]["source"] == "journal, corrections"
    assert "NOT used" not in done.err
    # only the corrected items, as lesson 3 has it; the first versions stay
    done = shell("learn", run, "--tolerance", 100, "--only-corrections")
    assert "corrected items to train on alone" in done.err if done.code else "on the corrected items alone" in done.out


def test_what_is_missing_is_told(shell: Shell, tmp_path: Path) -> None:
    run, data = tmp_path / "run", tmp_path / "data"
    run.mkdir()
    (run / "last.ckpt").touch()
    (run / "model.onecycle").touch()
    (run / "run.json").write_text(json.dumps({"data": str(data), "options": {}, "finished": True}))
    refused = shell("learn", run, "--undo")
    assert refused.code == 2
    assert "has no version to take back: model.onecycle is what was trained." in refused.err
    refused = shell("learn", run)
    assert refused.code == 2
    assert f"The data of the run in {run} is gone: {data}." in refused.err
    assert "Fix: bring the data back to where it was, or write" in refused.err
    data.mkdir()  # as the fix says
    refused = shell("learn", run)
    assert refused.code == 2
    assert "There is no journal at" in refused.err
    assert f"Fix: run onecycle serve {run}, and say there which answers are right" in refused.err
    with oc.Journal(run / "model.journal"):  # as serving does
        pass
    refused = shell("learn", run)
    assert refused.code == 2
    assert "There is nothing to learn from, since nothing was judged." in refused.err  # before the data is read
    oc.Corrections.open(run / "corrections.parquet").append("a.jpg", "relabel", "b")  # as reviewing does
    learned = shell("learn", run)
    assert f"# Learning from {run / 'model.journal'}: 0 judged answers." in learned.out
    assert f"# Learning from {run / 'corrections.parquet'}: 1 decided item: 1 corrected." in learned.out
    assert "It has no images" in learned.err  # of the folder, which is empty
    learned = shell("learn", run, "--corrections", run / "corrections.parquet")
    assert f"Warning: {run / 'model.journal'} is there too, and is NOT used." in learned.err


@pytest.mark.slow
def test_a_new_class_is_told_with_the_command_that_trains_it(run: Path, shell: Shell, tmp_path: Path) -> None:
    blue = [name for name in names_of(run) if name.startswith("blue/")]
    oc.Corrections.open(run / "corrections.parquet").append(blue[:6], "relabel", "navy")
    with oc.Journal(run / "model.journal") as journal:
        path = draw(tmp_path / "lime.jpg", (180, 250, 40))
        key = journal.record(path.read_bytes(), name="lime.jpg", suffix=".jpg", model="m", predicted="green")
        journal.judge(key, "wrong", "lime")
    done = shell("learn", run, "--tolerance", 100)
    assert done.code == 0, done.err
    assert "not learned from: " in done.out
    assert "6 with the label 'navy', which the model does not have" in done.out
    told = "a class that the model does not have. Learning adds no class; to train a model that has it: "
    command = f"onecycle train {tmp_path / 'data'} --corrections {run / 'corrections.parquet'}"
    inputs = run / "model.journal" / "inputs"
    assert f"Note: 6 items of 'navy', {told}{command}\n" in done.err
    assert (
        f"Note: 1 item of 'lime', {told}copy the files from {inputs} to their classes in the data, and run onecycle "
        f"train {tmp_path / 'data'}\n"
    ) in done.err
    # as they say
    (tmp_path / "data" / "lime").mkdir()
    for number in range(4):
        draw(tmp_path / "data" / "lime" / f"{number}.jpg", (180, 250, 40), seed=number)
    trained = shell(*command.split()[1:], *TRAIN)
    assert trained.code == 0, trained.err
    assert "# Category, 5 classes: blue, green, lime, navy, red" in trained.out


@pytest.mark.slow
def test_items_that_are_gone_or_new_are_named_and_the_split_stays(run: Path, shell: Shell, tmp_path: Path) -> None:
    before = read_items(run)
    assert before is not None
    assert set(before.values()) == {"train", "valid"}
    gone = next(name for name, split in before.items() if split == "train")
    new = gone.replace(Path(gone).name, "0.jpg")
    (tmp_path / "data" / gone).unlink()
    shutil.copy(tmp_path / "data" / next(reversed(before)), tmp_path / "data" / new)
    (run / "model.journal").rename(tmp_path / "elsewhere")
    done = shell("report", run)
    assert done.code == 0, done.err
    assert (
        f"Note: 1 item is not there any more: {gone}. 1 item is new, and left out until you train again: {new}. "
        in (done.err)
    )
    learner = open_run(run)
    assert splits_of(learner.data.labelled) == {name: split for name, split in before.items() if name != gone}
    assert "as_before" not in learner.state.code
    checked = shell("check", run, "--duplicates")
    assert checked.code == 0, checked.err
    assert f"Note: 1 item is not there any more: {gone}. " in checked.err
    # only gone
    (tmp_path / "data" / new).unlink()
    assert shell("report", run, "--out", "again").code == 0
    # a run of an earlier version has no names
    (run / "items.parquet").unlink()
    refused = shell("report", run)
    assert refused.code == 2
    assert "was trained with another split" in refused.err
    assert "Fix: bring the items back as they were, with their labels, or train again: onecycle train DATA." in (
        refused.err
    )
    shutil.copy(tmp_path / "data" / next(reversed(before)), tmp_path / "data" / gone)  # as the fix says
    assert shell("report", run, "--out", "third").code == 0
