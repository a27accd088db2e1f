"""Texts as a modality: sampled, padded, batched by length, shown, explained and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from onecycle.data.bunch import DataBunch
from onecycle.data.dataset import DataLoader, alike, seeded
from onecycle.data.items import CONTENT
from onecycle.data.modality import Modality
from onecycle.data.target import Category
from onecycle.errors import DataError
from onecycle.text import labelled, storage
from onecycle.text.documents import LabelledTexts, TextList
from onecycle.text.texts import Texts
from onecycle.text.tokenizer import Tokenizer
from onecycle.text.vocabulary import train_tokenizer
from onecycle.train.learner import Learner

TARGET = Category(("bad", "good"))
RNG = np.random.default_rng(0)
REVIEWS = [" ".join(RNG.choice(["a", "film", "plot", "scene"], 2 + n % 23)) + f" {TARGET.classes[n % 2]}" for n in range(200)]  # fmt: skip  # noqa: E501


def labelled_texts() -> LabelledTexts:
    items = TextList.from_texts(REVIEWS, [TARGET.classes[n % 2] for n in range(200)])
    return items.split_random(0.2).label_from_column("label")


@pytest.fixture(scope="module")
def bunch() -> DataBunch:
    return labelled_texts().tokenize("words", max_length=16, min_frequency=1).databunch(8)


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts(train_tokenizer("words", REVIEWS, min_frequency=1), 6)


class TestSamples:
    def test_texts_are_a_modality(self, texts: Texts) -> None:
        assert isinstance(texts, Modality)

    @pytest.mark.parametrize("raw", ["A <br /> film", "a film", np.array([2, 6, 7, 8], np.int32), [2, 6, 7, 8]])
    def test_a_text_and_its_numbers_are_both_items(self, texts: Texts, raw: Any) -> None:
        sample = texts.sample(raw, "good", TARGET, 3, training=True)
        assert (sample.input.dtype, sample.input[0], sample.target, sample.index) == (np.int32, 2, torch.tensor(1), 3)

    def test_a_path_is_read(self, texts: Texts, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_bytes("a film".encode("utf-16"))
        read = texts.sample(tmp_path / "a.txt", None, TARGET, 0, training=False).input
        assert read.tolist() == texts.tokenizer.encode("a film")

    def test_long_ones_are_cut(self, texts: Texts) -> None:
        assert len(texts.sample("a film " * 99, None, TARGET, 0, training=False).input) == 6
        assert len(texts.sample(list(range(2, 20)), None, TARGET, 0, training=False).input) == 6

    def test_of_a_long_one_both_ends_are_kept_also_after_the_texts_were_tokenised(self) -> None:
        items = TextList.from_texts([" ".join(REVIEWS)] * 5, list("ababa")).split_by_index([4])
        long = items.label_from_column("label").tokenize("words", max_length=21, min_frequency=1)
        everything = long.modality.tokenizer.encode(" ".join(REVIEWS))
        assert long.train.table[CONTENT][0].as_py() == [*everything[:6], *everything[-15:]]
        head = long.tokenize(long.modality.tokenizer, max_length=21, beginning=1)
        assert head.valid.table[CONTENT][0].as_py() == everything[:21]
        assert (
            head.modality.sample(" ".join(REVIEWS), None, TARGET, 0, training=False).input.tolist() == everything[:21]
        )

    @pytest.mark.parametrize(
        ("item", "what"),
        [
            ("", r"The text '' is empty.\nExpected some words"),
            (" \0<br />", "is empty"),
            (7, "Cannot read a text from int.\nExpected a text, the Path"),
            (Path("nowhere.txt"), "Cannot read nowhere.txt"),
        ],
    )
    def test_what_is_no_text_is_an_error(self, texts: Texts, item: Any, what: str) -> None:
        with pytest.raises(DataError, match=what):
            texts.sample(item, None, TARGET, 0, training=False)

    def test_batches_are_padded_at_the_end(self, texts: Texts) -> None:
        stacked = texts.stack([np.array([2, 3]), np.array([4]), np.array([5, 6, 7])])
        assert stacked.tolist() == [[2, 3, 1], [4, 1, 1], [5, 6, 7]]
        assert stacked.dtype == torch.int64

    def test_configs_hold_all_of_it(self, texts: Texts) -> None:
        other = Texts.from_config(json.loads(json.dumps(texts.to_config())))
        assert other == texts
        assert Texts().tokenizer.name == "all-MiniLM-L6-v2"

    def test_bundles_of_before_both_ends_were_kept_still_cut_texts_off_at_the_end(self, texts: Texts) -> None:
        old = {key: value for key, value in texts.to_config().items() if key != "beginning"}
        assert Texts.from_config(old).beginning == 1

    def test_another_size_is_another_length(self, texts: Texts) -> None:
        assert texts.resize(9).max_length == 9
        for size, what in (((2, 3), r"size=\(2, 3\)"), (1, "max_length=1.\nExpected 2 tokens or more")):
            with pytest.raises(DataError, match=what):
                texts.resize(size)  # type: ignore[arg-type]


class TestStages:
    def test_all_sides_are_tokenised_once_and_training_texts_decide(self) -> None:
        items = TextList.from_texts(["good film"] * 4 + ["other words"], list("ababa"))
        stage = items.split_by_index([4]).label_from_column("label").tokenize("words", min_frequency=1)
        assert stage.valid.table[CONTENT].to_pylist() == [[2, 0, 0]]
        assert stage.train.table[CONTENT].type == labelled.NUMBERS
        again = stage.tokenize("bpe", vocabulary=300)
        assert again.modality.tokenizer.name == "bpe"
        assert again.source is stage.source

    def test_without_tokenize_it_is_the_default_encoder_s(self) -> None:
        bunch = labelled_texts().databunch(8)
        assert bunch.modality.tokenizer == Tokenizer.of_encoder()  # type: ignore[attr-defined]
        assert next(iter(bunch.train)).inputs[0, 0] == 101

    def test_an_added_test_set_is_tokenised_too(self) -> None:
        stage = labelled_texts().tokenize("words").add_test(TextList.from_texts(["a film", "a plot a plot"]))
        test = stage.databunch(8).test
        assert test is not None
        assert [len(item) for item in test.dataset.part.table[CONTENT].to_pylist()] == [3, 5]

    def test_large_columns_lie_on_disk(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(storage, "LARGE", 100)
        monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path))
        stored = labelled_texts().tokenize("words", min_frequency=1)
        monkeypatch.undo()
        assert stored.train.table.equals(labelled_texts().tokenize("words", min_frequency=1).train.table)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("options", "what"),
        [
            ({"max_length": 1}, "max_length=1"),
            ({"beginning": 1.5}, "beginning=1.5.\nExpected a share of a long text's tokens"),
            ({"sequence": 8}, "sequence=8 is for language models"),
        ],
    )
    def test_arguments_must_fit(self, options: dict[str, int], what: str) -> None:
        with pytest.raises(DataError, match=what):
            labelled_texts().tokenize("words", **options)  # type: ignore[arg-type]


class TestBatches:
    def test_batches_hold_texts_of_similar_length_and_all_of_them(self, bunch: DataBunch) -> None:
        lengths = bunch.train.lengths
        assert lengths is not None
        plan = bunch.train.plan(0)
        assert sorted(torch.cat(plan).tolist()) == list(range(160))
        padded = sum(len(rows) * int(lengths[rows].max()) for rows in plan)
        at_random = sum(len(rows) * int(lengths[rows].max()) for rows in torch.split(bunch.train.order(0), 8))
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
        assert all([len(rows) for rows in share] == [len(rows) for rows in shares[0]] for share in shares)
        assert {row for share in shares for rows in share for row in rows.tolist()} == set(range(160))

    def test_batches_of_alike_can_be_drawn_with_repeats(self) -> None:
        order = torch.tensor([3, 3, 1, 0, 2, 2])
        batches = alike(order, torch.tensor([1, 2, 3, 4]), 2, seeded(1))
        assert sorted(torch.cat(list(batches)).tolist()) == [0, 1, 2, 2, 3, 3]

    def test_workers_give_the_same(self, bunch: DataBunch) -> None:
        options: dict[str, Any] = {"batch_size": 8, "shuffle": True, "lengths": bunch.train.lengths}
        spawned = DataLoader(bunch.train.dataset, **options, workers=1, multiprocessing_context="spawn")
        for one, other in zip(spawned.epoch(1), bunch.train.epoch(1), strict=True):
            assert torch.equal(one.inputs, other.inputs)
            assert torch.equal(one.index, other.index)


class TestLooking:
    def test_explain_goes_from_text_to_tokens_to_numbers_to_batch(self, bunch: DataBunch) -> None:
        name, content = bunch.train.dataset.name(0), bunch.train.dataset.item(0)
        lines = [line.strip() for line in bunch.explain(0).splitlines()]
        tokenizer = bunch.modality.tokenizer  # type: ignore[attr-defined]
        assert lines[0] == f"1. item: {name!r}, row 0 of 160"
        assert lines[3].startswith("text:    ")
        assert lines[4].startswith("tokens:  " + " ".join(tokenizer.tokens(content[:3])))
        assert lines[5].startswith("numbers: " + " ".join(map(str, content[:3])))
        assert f"5. batch: 8 items stacked -> int64, (8, {len(content)})" in " ".join(lines)

    def test_batches_are_drawn_whatever_is_in_them(self) -> None:
        odd = ["costs $5 or $6_a", "שלום 😀", "中文字", "%s {x} \\frac", "a " * 400] * 2
        stage = TextList.from_texts(odd, list("xy" * 5)).split_by_index([8, 9]).label_from_column("label")
        figure = stage.tokenize("bpe", vocabulary=400).databunch(4).show_batch(8)
        written = [axes.texts[0].get_text() for axes in figure.axes]
        assert any("costs $5 or $6_a" in text for text in written)
        assert any("□" in text for text in written)
        figure._repr_png_()

    def test_check_finds_copies_on_both_sides(self) -> None:
        items = TextList.from_texts(["a film", "a plot", "some plot", "a film"], list("xyxy"))
        stage = items.split_by_index([3]).label_from_column("label", classes=["x", "y"])
        report = stage.tokenize("words", min_frequency=1).databunch(2).check()
        assert (report.count, report.broken) == (4, ())
        assert report.leaks == ((("train", "row 0"), ("valid", "row 3")),)

    def test_it_tells_itself_in_a_few_lines(self, bunch: DataBunch) -> None:
        assert repr(bunch).splitlines() == [
            "DataBunch: batches of 8, in memory",
            "  LabelledTexts: 160 training, 40 validation",
            "  Category, 2 classes: bad, good",
            "  clean (entities, characters, breaks, unicode, spaces), cut into tokens of words; of a long text "
            "25% of them from its beginning and the others from its end",
            "  as it is; where tokens are to be found, they are hidden",
            "  up to 16 tokens, padded to the longest of a batch",
        ]


def test_answers_come_back_in_the_items_own_order(bunch: DataBunch) -> None:
    class Length(nn.Module):
        """Knows nothing but a text's length."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(0.1))

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            lengths = (tokens != 1).sum(1) * self.scale
            return torch.stack([lengths, -lengths], dim=1)

    learner = Learner(bunch, Length(), progress=False)
    for part in ("train", "valid"):
        dataset = bunch.loader(part).dataset
        table = learner.predict_all(part).table
        assert table["item"].to_pylist() == dataset.part.names()
        assert table["label"].to_pylist() == dataset.labels()
        lengths = torch.tensor([len(dataset.item(row)) for row in range(len(dataset))]) * 0.1
        assert table["p(bad)"].to_pylist() == pytest.approx((2 * lengths).sigmoid().tolist(), rel=1e-4)
    new = TextList.from_texts(["a", "a film a plot a scene", "a film"])
    assert learner.predict_all(new).table["item"].to_pylist() == ["row 0", "row 1", "row 2"]
