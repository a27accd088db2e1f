"""Documents as chunks for language models: the next token in streams, and hidden tokens."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.data.bunch import DataBunch
from onecycle.data.dataset import seeded, streamed
from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.text.documents import TextList
from onecycle.text.language import UNASKED, MaskedToken, NextToken, TokenLoss
from onecycle.text.tokenizer import Tokenizer

DOCUMENTS = [" ".join(f"w{number}" for number in range(start, start + 40)) for start in range(0, 400, 20)]


@pytest.fixture(scope="module")
def streams() -> DataBunch:
    stage = TextList.from_texts(DOCUMENTS).split_by_index([0, 1, 2]).label_for_language_model()
    return stage.tokenize("words", min_frequency=1, sequence=7).databunch(4)


@pytest.fixture(scope="module")
def masked() -> DataBunch:
    stage = TextList.from_texts(["This film is good, and that one is bad."] * 200).split_random(0.2)
    return stage.label_for_language_model(masked=True).tokenize(sequence=24).databunch(8)


class TestNextToken:
    def test_labels_are_the_inputs_one_token_later(self, streams: DataBunch) -> None:
        for batch in streams.train:
            assert batch.inputs.shape == batch.targets.shape  # type: ignore[union-attr]
            assert batch.inputs.shape[1] == 7
            assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])  # type: ignore[index]

    def test_each_place_of_a_batch_reads_on_where_it_stopped(self, streams: DataBunch) -> None:
        batches = list(streams.train.epoch(0))
        for one, following in itertools.pairwise(batches):
            places = len(following)
            assert torch.equal(following.inputs[:, 0], one.targets[:places, -1])  # type: ignore[index]

    def test_every_epoch_is_in_the_same_order_and_covers_everything(self, streams: DataBunch) -> None:
        plans = [[rows.tolist() for rows in streams.train.plan(epoch)] for epoch in (0, 5)]
        assert plans[0] == plans[1]
        drawn = sorted(row for rows in plans[0] for row in rows)
        assert len(drawn) in (len(streams), len(streams) - 1)  # a last batch of one is dropped while training
        assert sorted(row for rows in streams.valid.plan(0) for row in rows.tolist()) == list(range(len(streams.valid.dataset)))  # fmt: skip  # noqa: E501

    def test_documents_are_joined_whole_each_with_its_beginning(self, streams: DataBunch) -> None:
        tokenizer = streams.modality.tokenizer  # type: ignore[attr-defined]
        rows = [streams.train.dataset.item(row) for row in range(len(streams))]
        tokens = tokenizer.tokens(number for row in rows for number in row)
        starts = [place for place, token in enumerate(tokens) if token == "xxbos"]
        assert starts[0] == 0
        assert {after - before for before, after in itertools.pairwise(starts)} == {len(tokenizer.encode(DOCUMENTS[0]))}  # fmt: skip  # noqa: E501

    def test_the_usual_chunk_has_72_tokens(self) -> None:
        stage = TextList.from_texts(DOCUMENTS).split_by_index(range(10)).label_for_language_model().tokenize("words")
        assert len(stage.train.table["#content"][0]) == 72
        assert stage.modality.max_length == 72

    def test_a_test_set_becomes_chunks_too(self) -> None:
        stage = TextList.from_texts(DOCUMENTS).split_by_index(range(10)).label_for_language_model()
        bunch = stage.tokenize("words", sequence=9).add_test(TextList.from_texts(DOCUMENTS)).databunch(4)
        assert next(iter(bunch.test)).inputs.shape == (4, 9)  # type: ignore[arg-type]

    def test_it_can_be_looked_at(self, streams: DataBunch) -> None:
        assert "tokens:  xxbos" in streams.explain(0)
        assert all(axes.get_title() for axes in streams.show_batch(2).axes)
        assert streams.check().broken == ()
        assert "NextToken, tokens: " in repr(streams)

    def test_too_few_tokens_are_an_error(self) -> None:
        stage = TextList.from_texts(["a b", "c d"]).split_by_index([1]).label_for_language_model()
        with pytest.raises(DataError, match=r"have 3 tokens in all, and a chunk has 72.\n.*\nFix: .*sequence="):
            stage.tokenize("words", min_frequency=1)


class TestStreams:
    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 40), st.integers(1, 12))
    def test_places_hold_consecutive_rows(self, count: int, size: int) -> None:
        batches = [rows.tolist() for rows in streamed(torch.arange(count), size)]
        assert sorted(row for rows in batches for row in rows) == list(range(count))
        for one, following in itertools.pairwise(batches):
            assert following == [row + 1 for row in one[: len(following)]]
        assert all(len(rows) == min(size, count) for rows in batches[:-1])

    def test_as_many_batches_as_the_loader_says(self, streams: DataBunch) -> None:
        assert len(streams.train) == len(list(streams.train.epoch(0)))
        assert len(streams.valid) == len(list(streams.valid.epoch(0)))


class TestMaskedToken:
    def test_chunks_look_like_texts_of_the_encoder(self, masked: DataBunch) -> None:
        batch = next(iter(masked.train))
        assert batch.inputs.shape == (8, 24)
        assert set(batch.inputs[:, 0].tolist()) == {101}
        assert set(batch.inputs[:, -1].tolist()) == {102}

    def test_some_tokens_are_hidden_and_asked_for(self, masked: DataBunch) -> None:
        target = masked.target
        assert isinstance(target, MaskedToken)
        plain = torch.randint(1000, 2000, (400, 100), generator=seeded(5))
        plain[:, 0] = 101
        inputs, targets = target.hide(plain, seeded(1))
        asked = targets != UNASKED
        assert torch.equal(targets[asked], plain[asked])
        assert torch.equal(inputs[~asked], plain[~asked])
        assert not asked[:, 0].any()
        # Binomial of 39,600: four standard deviations are 0.007; of some 5,940 of those 0.02.
        assert asked[:, 1:].float().mean().item() == pytest.approx(0.15, abs=0.007)
        assert (inputs[asked] == 103).float().mean().item() == pytest.approx(0.8, abs=0.02)
        assert (inputs[asked] == plain[asked]).float().mean().item() == pytest.approx(0.1, abs=0.02)

    def test_training_hides_others_each_time_and_validation_the_same(self, masked: DataBunch) -> None:
        batch = next(iter(masked.valid))
        same = [masked.modality.prepare(batch, masked.target, None) for _ in range(2)]
        assert torch.equal(same[0].inputs, same[1].inputs)
        other = masked.modality.prepare(batch, masked.target, seeded(3))
        assert not torch.equal(same[0].inputs, other.inputs)
        assert torch.equal(batch.inputs, next(iter(masked.valid)).inputs)

    def test_a_tokenizer_without_a_mask_is_an_error(self) -> None:
        stage = TextList.from_texts(DOCUMENTS).split_by_index([0]).label_for_language_model(masked=True)
        with pytest.raises(DataError, match=r"tokenizer of words has no token to hide others with"):
            stage.tokenize("words")


class TestTargets:
    @pytest.fixture(params=[NextToken, MaskedToken])
    def target(self, request: pytest.FixtureRequest) -> NextToken:
        kind: type[NextToken] = request.param
        return kind(Tokenizer.of_encoder())

    def test_they_keep_the_protocol(self, target: NextToken) -> None:
        assert isinstance(target, Target)
        assert type(target).from_config(json.loads(json.dumps(target.to_config()))) == target
        assert target.outputs == 30522
        assert "30,522 of all-MiniLM-L6-v2" in target.summary
        assert NextToken().summary == "NextToken, tokens: not tokenised yet"

    def test_a_label_comes_back(self, target: NextToken) -> None:
        encoded = target.encode([2023, 2143])
        assert target.decode(target.soften(encoded[None])[0]) == ("this", "film")
        assert target.caption(("this", "film")) == "this film"
        assert target.cells(("this", "film")) == {"tokens": "this film"}
        assert target.columns(torch.empty(0), [("this",)])["prediction"].to_pylist() == [["this"]]
        assert target.scores(torch.ones(3)) == {}

    def test_the_loss_counts_what_is_asked_for(self, target: NextToken) -> None:
        loss = target.loss()
        assert isinstance(loss, TokenLoss)
        outputs = torch.zeros(2, 3, 10)
        outputs[0, 0, 4] = 50.0
        targets = torch.tensor([[4, UNASKED, UNASKED], [UNASKED, UNASKED, 1]])
        assert loss(outputs, targets).item() == pytest.approx(math.log(10) / 2)
        nothing = loss(outputs.requires_grad_(), torch.full((2, 3), UNASKED))
        nothing.backward()
        assert nothing.item() == 0

    def test_metrics_see_each_token_that_is_asked_for(self, target: NextToken) -> None:
        answers, targets = torch.rand(2, 3, 5), torch.tensor([[1, UNASKED, 2], [3, 4, UNASKED]])
        measured, truth = target.measured(answers, targets, None)
        assert (measured.shape, truth.tolist()) == ((4, 5), [1, 2, 3, 4])
        assert torch.equal(measured[1], answers[0, 2])
        whole = target.measured(answers, targets.clamp(min=0), None)
        assert (whole[0].shape, whole[1].shape) == ((6, 5), (6,))

    def test_there_is_nothing_to_balance(self, target: NextToken) -> None:
        for call in (target.item_weights, target.weighted):
            with pytest.raises(DataError, match=f"balance= does not fit {target.kind}"):
                call([])


def test_documents_of_a_folder_need_no_labels(tmp_path: Path) -> None:
    for number, text in enumerate(DOCUMENTS):
        (tmp_path / f"{number}.txt").write_text(text)
    stage = TextList.from_folder(tmp_path).split_random(0.3).label_for_language_model()
    assert repr(stage).endswith("NextToken, tokens: not tokenised yet")
    assert stage.tokenize("words").databunch(2).train.streams
