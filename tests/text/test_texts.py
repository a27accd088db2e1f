"""Texts as a modality: read, padded, batched by length, shown, explained and checked."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_labelled_texts import REVIEWS, TARGET, label_reviews
from tiny_texts import device_of, language_bunch, save_encoder
from torch import nn

from onecycle.data.batch import Batch
from onecycle.data.bunch import DataBunch
from onecycle.data.loader import DataLoader
from onecycle.data.modality import Modality
from onecycle.errors import DataError
from onecycle.text.language_model_learner import language_model_learner
from onecycle.text.text_list import TextList
from onecycle.text.texts import Texts
from onecycle.text.token_losses import TokenLoss
from onecycle.text.tokenizer_training import train_tokenizer
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def bunch() -> DataBunch:
    return label_reviews().tokenize("words", max_length=16, min_frequency=1).databunch(8)


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts(train_tokenizer("words", REVIEWS, min_frequency=1), 6)


class TestSamples:
    def test_texts_are_a_modality(self, texts: Texts) -> None:
        assert isinstance(texts, Modality)
        assert texts.reads_text_directly
        assert texts.item_shape(training=True) is None

    @pytest.mark.parametrize("raw", ["A <br /> film", "a film", np.array([2, 6, 7, 8], np.int32), [2, 6, 7, 8]])
    def test_an_item_is_a_text_or_its_token_ids(self, texts: Texts, raw: Any) -> None:
        sample = texts.sample(raw, "good", TARGET, 3, training=True)
        assert (sample.input.dtype, sample.input[0], sample.target, sample.index) == (np.int32, 2, torch.tensor(1), 3)

    def test_an_item_is_the_path_of_a_text_file(self, texts: Texts, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes("a film".encode("utf-16"))
        read = texts.sample(tmp_path / "a.txt", None, TARGET, 0, training=False).input
        assert read.tolist() == texts.tokenizer.encode("a film")

    def test_long_texts_are_truncated(self, texts: Texts) -> None:
        assert len(texts.sample("a film " * 99, None, TARGET, 0, training=False).input) == 6
        assert len(texts.sample(list(range(2, 16)), None, TARGET, 0, training=False).input) == 6

    @pytest.mark.parametrize(
        ("item", "what"),
        [
            ("", r"The text '' is empty.\nExpected at least one word"),
            (" \0<br />", "is empty"),
            (7, "Cannot read a text from an int.\nExpected a text, the Path"),
            (None, "Cannot read a text from a NoneType.\nExpected a text, the Path"),
            (
                ["a film", "a plot"],
                r"Cannot read a text from a list of texts\.[\s\S]*Fix: pass one of them; predict_many",
            ),
            ([[2, 3], [4]], "Cannot read a text from a list.\nExpected"),
            ([1.5, 2.0], "Cannot read a text from a list.\nExpected"),
            ([], r"There are no token ids\.\nExpected some from 0 to"),
            (
                [3, 10**6],
                r"Token ids reach from 3 to 1000000\.\nExpected some from 0 to \d+,.*\nFix: pass the text itself",
            ),
            (Path("nowhere.txt"), "Cannot read nowhere.txt"),
        ],
    )
    def test_items_that_are_not_texts_are_errors(self, texts: Texts, item: Any, what: str) -> None:
        with pytest.raises(DataError, match=what):
            texts.sample(item, None, TARGET, 0, training=False)

    @pytest.mark.parametrize("given", ["path", "bytes", "opened"])
    def test_an_image_is_no_text_and_the_fix_reads_one(self, texts: Texts, tmp_path: Path, given: str) -> None:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)).save(tmp_path / "a.jpg")
        (tmp_path / "a.txt").write_text("a film")

        def item(name: str) -> Any:
            ways = {"path": Path, "bytes": Path.read_bytes, "opened": lambda path: io.BytesIO(path.read_bytes())}
            return ways[given](tmp_path / name)

        with pytest.raises(
            DataError, match=r"is not a text: its bytes are those of an image.*\n.*\nFix: pass the text"
        ):
            texts.read(item("a.jpg"), training=False)
        assert texts.read(item("a.txt"), training=False).input.tolist() == texts.tokenizer.encode("a film")

    def test_a_list_with_the_path_of_a_text_is_refused_and_the_fix_works(self, texts: Texts, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("a film")
        with pytest.raises(DataError, match=r"items\[1\]: '.*a\.txt' is the path of a file"):
            texts.rows_from(["a plot", str(tmp_path / "a.txt")])
        assert texts.rows_from(["a plot", tmp_path / "a.txt"]).input(1) == "a film"

    def test_batches_are_padded_at_the_end(self, texts: Texts) -> None:
        padded = texts.collate([np.array([2, 3]), np.array([4]), np.array([5, 6, 7])])
        assert padded.tolist() == [[2, 3, 1], [4, 1, 1], [5, 6, 7]]
        assert padded.dtype == torch.int64

    def test_a_config_describes_everything(self, texts: Texts) -> None:
        other = Texts.from_config(json.loads(json.dumps(texts.to_config())))
        assert other == texts
        assert Texts().tokenizer.name == "all-MiniLM-L6-v2"

    def test_old_bundles_still_cut_off_the_end_of_texts(self, texts: Texts) -> None:
        old = {key: value for key, value in texts.to_config().items() if key != "beginning"}
        assert Texts.from_config(old).beginning == 1

    def test_the_size_of_a_text_is_its_number_of_tokens(self, texts: Texts) -> None:
        assert texts.resize(9).max_length == 9
        for size, what in (((2, 3), r"size=\(2, 3\)"), (1, "max_length=1.\nExpected 2 tokens or more")):
            with pytest.raises(DataError, match=what):
                texts.resize(size)  # type: ignore[arg-type]

    def test_texts_are_found_in_folders(self, texts: Texts, tmp_path: Path) -> None:
        for name in ("b.txt", "a/c.txt", "a/d.png", ".e.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("some words")
        assert texts.find_items(tmp_path) == ["a/c.txt", "b.txt"]
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="No texts in"):
            texts.find_items(tmp_path / "empty")


class TestBatches:
    def test_batches_have_texts_of_similar_length(self, bunch: DataBunch) -> None:
        lengths = bunch.train.lengths
        assert lengths is not None
        plan = bunch.train.plan(0)
        assert sorted(torch.cat(list(plan)).tolist()) == list(range(160))
        padded = sum(len(rows) * int(lengths[rows].max()) for rows in plan)
        order = bunch.train.order(0).rows(torch.arange(160))
        at_random = sum(len(rows) * int(lengths[rows].max()) for rows in torch.split(order, 8))
        assert padded - int(lengths.sum()) < (at_random - int(lengths.sum())) / 2

    def test_the_order_is_a_function_of_seed_and_epoch_and_stays_random(self, bunch: DataBunch) -> None:
        def plan(epoch: int) -> list[list[int]]:
            return [rows.tolist() for rows in bunch.train.plan(epoch)]

        assert plan(1) == plan(1) != plan(2)
        longest = [max(int(bunch.train.lengths[row]) for row in rows) for rows in plan(1)]  # type: ignore[index]
        assert longest != sorted(longest) != longest[::-1]

    def test_without_shuffling_the_longest_come_first(self, bunch: DataBunch) -> None:
        lengths = [batch.inputs.shape[1] for batch in bunch.valid]
        assert lengths == sorted(lengths, reverse=True)
        assert sorted(torch.cat([batch.index for batch in bunch.valid]).tolist()) == list(range(40))

    @pytest.mark.parametrize("world", [1, 2, 3])
    def test_processes_share_each_batch(self, bunch: DataBunch, world: int) -> None:
        shares = [bunch.train.plan(0, rank=rank, world=world) for rank in range(world)]
        assert {len(share) for share in shares} == {len(shares[0])}
        sizes = [[len(rows) for rows in batch] for batch in zip(*shares, strict=True)]
        assert all(max(batch) - min(batch) <= 1 for batch in sizes)
        assert sorted(row for share in shares for rows in share for row in rows.tolist()) == list(range(160))

    @pytest.mark.slow
    def test_workers_give_the_same_batches(self, bunch: DataBunch) -> None:
        options: dict[str, Any] = {"batch_size": 8, "shuffle": True, "lengths": bunch.train.lengths}
        spawned = DataLoader(bunch.train.dataset, **options, workers=1, multiprocessing_context="spawn")
        for one, other in zip(spawned.epoch(1), bunch.train.epoch(1), strict=True):
            assert torch.equal(one.inputs, other.inputs)
            assert torch.equal(one.index, other.index)


class TestMaskedBatches:
    def test_validation_does_not_depend_on_the_batch_size(self, tmp_path: Path) -> None:
        encoder, values, masks = save_encoder(tmp_path), [], []
        for batch_size in (1, 7, 64):
            bunch = language_bunch(encoder, masked=True, batch_size=batch_size, sequence=12)
            prepared = [bunch.modality.prepare(batch, bunch.target, None) for batch in bunch.valid]
            order = torch.cat([batch.index for batch in prepared]).argsort()
            masks.append(torch.cat([batch.targets for batch in prepared])[order])  # type: ignore[misc]
            learner = language_model_learner(bunch, encoder, metrics=["perplexity", "token_accuracy"], progress=False)
            values.append({**learner.validate(), "loss": weighted_loss(learner, prepared)})
        assert torch.equal(masks[0], masks[1])
        assert torch.equal(masks[0], masks[2])
        for name in ("loss", "perplexity", "token_accuracy"):
            assert values[1][name] == pytest.approx(values[0][name], rel=1e-5)
            assert values[2][name] == pytest.approx(values[0][name], rel=1e-5)


def weighted_loss(learner: Learner, batches: list[Batch]) -> float:
    """Return the loss over all batches, by the losses' own weights."""
    loss, model = TokenLoss(), learner.model.eval()
    with torch.no_grad():
        values = [loss(model(batch.inputs.to(device_of(model))).cpu(), batch.targets) for batch in batches]
    weights = [loss.weight(batch.targets) for batch in batches]  # type: ignore[arg-type]
    return float(sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights))


class TestShowing:
    def test_explain_goes_from_text_to_tokens_to_ids_to_batch(self, bunch: DataBunch) -> None:
        name, content = bunch.train.dataset.name(0), bunch.train.dataset.item(0)
        lines = [line.strip() for line in bunch.explain(0).splitlines()]
        tokenizer = bunch.modality.tokenizer  # type: ignore[attr-defined]
        assert lines[0] == f"1. item: {name!r}, row 0 of 160"
        assert lines[3].startswith("text:      ")
        assert lines[4].startswith("tokens:    " + " ".join(tokenizer.ids_to_tokens(content[:3])))
        assert lines[5].startswith("token ids: " + " ".join(map(str, content[:3])))
        assert f"5. batch: 8 items stacked -> int64, (8, {len(content)})" in " ".join(lines)

    def test_any_text_can_be_drawn(self) -> None:
        odd = ["costs $5 or $6_a", "שלום 😀", "中文字", "%s {x} \\frac", "a " * 400] * 2
        stage = TextList.from_texts(odd, list("xy" * 5)).split_by_index([8, 9]).label_from_column("label")
        figure = stage.tokenize("bpe", vocabulary=400).databunch(4).show_batch(8)
        written = [axes.texts[0].get_text() for axes in figure.axes]
        assert any("costs $5 or $6_a" in text for text in written)
        assert any("□" in text for text in written)
        figure._repr_png_()

    def test_check_finds_copies_in_two_splits(self) -> None:
        items = TextList.from_texts(["a film", "a plot", "some plot", "a film"], list("xyxy"))
        stage = items.split_by_index([3]).label_from_column("label", classes=["x", "y"])
        report = stage.tokenize("words", min_frequency=1).databunch(2).check()
        assert (report.count, report.broken) == (4, ())
        assert report.leaks == ((("train", "row 0"), ("valid", "row 3")),)

    def test_a_bunch_describes_itself(self, bunch: DataBunch) -> None:
        assert repr(bunch).splitlines() == [
            "DataBunch: batches of 8, in memory",
            "  LabelledTexts: 160 training, 40 validation",
            "  Category, 2 classes: bad, good",
            "  cleaned (entities, characters, breaks, unicode, spaces), tokenized with words; of a long text "
            "25% of the tokens are from its beginning and the others from its end",
            "  no augmentation; for masked language models some tokens are masked",
            "  up to 16 tokens, padded to the longest text of a batch",
        ]


def test_predictions_are_in_the_order_of_the_items(bunch: DataBunch) -> None:
    class Length(nn.Module):
        """Predicts from a text's length alone."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(0.1))

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            lengths = (tokens != 1).sum(1) * self.scale
            return torch.stack([lengths, -lengths], dim=1)

    learner = Learner(bunch, Length(), progress=False)
    for split in ("train", "valid"):
        dataset = bunch.loader(split).dataset
        table = learner.predict_all(split).table
        assert table["item"].to_pylist() == dataset.rows.names()
        assert table["label"].to_pylist() == list(dataset.labels() or ())
        lengths = torch.tensor([len(dataset.item(row)) for row in range(len(dataset))]) * 0.1
        assert table["p(bad)"].to_pylist() == pytest.approx((2 * lengths).sigmoid().tolist(), rel=1e-4)
    new = TextList.from_texts(["a", "a film a plot a scene", "a film"])
    assert learner.predict_all(new).table["item"].to_pylist() == ["row 0", "row 1", "row 2"]


class TestCutTexts:
    def test_the_cut_middle_is_marked(self) -> None:
        texts = Texts(max_length=10)
        words = "one two three four five six seven eight nine ten eleven twelve"
        assert texts.as_text(torch.tensor(texts.read(words, training=False).input)) == (
            "one two […] seven eight nine ten eleven twelve"
        )

    def test_a_whole_text_has_no_mark(self) -> None:
        texts = Texts(max_length=10)
        padded = [*texts.read("one two three", training=False).input, *[texts.tokenizer.pad] * 9]
        assert texts.as_text(torch.tensor(padded)) == "one two three"

    def test_a_chunk_of_a_language_model_has_no_mark(self) -> None:
        texts = Texts(max_length=10, chunks=True)
        ids = texts.read("one two three four five six seven eight nine ten eleven", training=False).input
        assert "[…]" not in texts.as_text(torch.tensor(ids))

    def test_a_cut_end_and_a_cut_beginning_are_marked(self) -> None:
        for beginning, shown in ((1.0, "one two three […]"), (0.0, "[…] four five six")):
            texts = Texts(max_length=5, beginning=beginning)
            ids = texts.read("one two three four five six", training=False).input
            assert texts.as_text(torch.tensor(ids)) == shown
