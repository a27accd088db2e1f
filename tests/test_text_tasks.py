"""Texts from the shell and in one call: the sentence that is found, training, prediction, bundles and the demo."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import pytest

import onecycle as oc
from onecycle.cli import main
from onecycle.demo import make_reviews
from onecycle.demo.jobs import jobs
from onecycle.errors import DataError
from onecycle.recipes.task import sentence_for

ENCODER = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_reviews(tmp_path_factory.mktemp("texts") / "reviews", train=24, test=8, unsup=4)


@pytest.fixture(scope="module")
def table(reviews: Path) -> Path:
    path = reviews.parent / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "stars", "review"])
        for number, text in enumerate(sorted(reviews.glob("train/*/*.txt"))[:20]):
            writer.writerow([number, "good" if text.parent.name == "pos" else "bad", text.read_text(encoding="utf-8")])
    return path


def exit_code(arguments: list[str]) -> int:
    try:
        with warnings.catch_warnings():
            main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize("task", ["sentiment", "text"])
def test_aclimdb_s_layout_is_found(task: str, reviews: Path) -> None:
    assert str(sentence_for(reviews, task=task, epochs=1)).splitlines() == [  # type: ignore[arg-type]
        "bunch = (",
        f'    oc.TextList.from_folder("{reviews}", include=["test", "train"])',
        '    .split_by_folder(train="train", valid="test")',
        "    .label_from_folder()",
        "    .tokenize(max_length=128)",
        "    .databunch(batch_size=16, seed=42)",
        ")",
        'learner = oc.text_learner(bunch, metrics=["accuracy"], callbacks=[oc.KeepBest("accuracy")]).to_bf16()',
        'learner.fine_tune(1, lr="auto")',
    ]


@pytest.mark.parametrize("as_data", [True, False])
def test_a_table_of_texts_is_found(as_data: bool, table: Path) -> None:
    data, labels = (table, None) if as_data else (table.parent, table)
    sentence = str(sentence_for(data, labels=labels, column="stars", task="text", backbone=ENCODER, precision="fp32"))
    assert f'oc.TextList.from_csv("{table}")' in sentence
    assert '.split_random(valid=0.2, seed=42, stratify="stars")' in sentence
    assert '.label_from_column("stars")' in sentence
    assert f'.tokenize("{ENCODER}", max_length=128)' in sentence
    assert "to_bf16" not in sentence
    tags = str(sentence_for(table, column="stars", delimiter=" ", task="text"))
    assert '.label_from_column("stars", delimiter=" ", classes="all")' in tags
    with pytest.raises(DataError, match=r"Which column of .* holds the labels\?\nExpected one of: id, stars, review"):
        sentence_for(table, task="text")


def test_texts_from_training_to_answers(
    reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["train", str(reviews), "--task", "sentiment", "--epochs", "1", "--sizes", "48", "--precision", "fp32"]
    assert exit_code([*arguments, "--out", "run"]) == 0
    told = capsys.readouterr().out
    assert "before epoch 1: lr=slice(1.6e-05, 0.002), as is usual" in told
    assert "On 8 validation items: valid_loss" in told
    for name in (
        "model.onecycle",
        "history.csv",
        "training_batch.png",
        "example_predictions.png",
        "worst_mistakes.png",
    ):
        assert (tmp_path / "run" / name).stat().st_size > 0
    files = sorted(reviews.glob("test/pos/*.txt"))
    assert (
        exit_code(["predict", "run/model.onecycle", "What a film!", str(files[0]), str(reviews / "test" / "neg")]) == 0
    )
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[:2]] == ["What a film!", str(files[0])]
    assert len(rows) == 2 + 4
    assert all(row[1] in ("neg", "pos") and 0.5 <= float(row[2]) <= 1 for row in rows)
    assert exit_code(["predict", "run/model.onecycle", "What a film!", " ", "--out", "answers.csv"]) == 2
    wrong = capsys.readouterr()
    assert "1 predictions written to answers.csv" in wrong.out
    assert "The text ' ' is empty" in wrong.err
    assert exit_code(["info", "run/model.onecycle"]) == 0
    assert "reads texts of up to 48 tokens" in capsys.readouterr().out
    model = oc.load_model("run/model.onecycle")
    found = oc.attribute(model, "The story is wonderful.")
    assert found.words == ("The", "story", "is", "wonderful.")


def test_the_demo_draws_reviews(tmp_path: Path) -> None:
    ((name, (about, sentence)),) = jobs(tmp_path, "text").items()
    assert (name, about) == ("reviews", "praise or blame")
    assert len(list((tmp_path / "reviews" / "train" / "pos").iterdir())) == 400
    assert ".tokenize(max_length=128)" in str(sentence)


def test_a_language_model_s_bundle_generates_again(tmp_path: Path) -> None:
    texts = ["the film was good and the story was clever ."] * 12
    stage = oc.TextList.from_texts(texts).split_by_index([10, 11]).label_for_language_model()
    bunch = stage.tokenize("words", min_frequency=1, sequence=6).databunch(2)
    language = oc.language_model_learner(bunch, width=8, hidden=12, layers=2, progress=False)
    language.fit(1, 1e-3)
    from onecycle.text.generate import generate

    loaded = oc.load_model(language.export(tmp_path / "language.onecycle"))
    assert generate(loaded, "the film", words=4, seed=3) == language.generate("the film", words=4, seed=3)


def test_a_classifier_on_a_language_model_has_a_bundle(tmp_path: Path) -> None:
    texts, labels = ["the film was good .", "the film was bad ."] * 8, ["pos", "neg"] * 8
    split = oc.TextList.from_texts(texts, labels).split_by_index([14, 15])
    language = oc.language_model_learner(
        split.label_for_language_model().tokenize("words", min_frequency=1, sequence=6).databunch(2),
        width=8, hidden=12, layers=2, progress=False,
    )  # fmt: skip
    bunch = split.label_from_column("label").tokenize(language.data.modality.tokenizer).databunch(4)
    learner = oc.text_learner(bunch, encoder=language, progress=False)
    learner.fit(1, 1e-3)
    model = oc.load_model(learner.export(tmp_path / "classifier.onecycle"))
    assert model.predict("the film was good .") == learner.predict("the film was good .")
