"""The next token and masked tokens as targets, and their batches."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import torch
from tiny_texts import language_bunch, save_encoder
from torch import Tensor

from onecycle.data.bunch import DataBunch
from onecycle.data.seeding import seeded
from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.figure import grid
from onecycle.text.language_model_output import LanguageModelOutput
from onecycle.text.language_targets import MaskedToken, NextToken
from onecycle.text.text_list import TextList
from onecycle.text.token_losses import IGNORE_INDEX, TokenLoss
from onecycle.text.tokenizer import Tokenizer

DOCUMENTS = [" ".join(f"w{number}" for number in range(start, start + 40)) for start in range(0, 400, 20)]


@pytest.fixture(scope="module")
def contiguous() -> DataBunch:
    stage = TextList.from_texts(DOCUMENTS).split_by_index([0, 1, 2]).label_for_language_model()
    return stage.tokenize("words", min_frequency=1, sequence=7).databunch(4)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> DataBunch:
    return language_bunch(save_encoder(tmp_path_factory.mktemp("encoder")), masked=True, batch_size=8, sequence=24)


class TestNextToken:
    def test_labels_are_the_inputs_one_token_later(self, contiguous: DataBunch) -> None:
        for batch in contiguous.train:
            assert batch.inputs.shape == batch.targets.shape  # type: ignore[union-attr]
            assert batch.inputs.shape[1] == 7
            assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])  # type: ignore[index]

    def test_each_row_of_a_batch_continues_that_of_the_batch_before(self, contiguous: DataBunch) -> None:
        batches = list(contiguous.train.epoch(0))
        for one, following in itertools.pairwise(batches):
            assert torch.equal(following.inputs[:, 0], one.targets[: len(following), -1])  # type: ignore[index]

    def test_every_epoch_has_the_same_order_and_all_chunks(self, contiguous: DataBunch) -> None:
        plans = [[rows.tolist() for rows in contiguous.train.plan(epoch)] for epoch in (0, 5)]
        assert plans[0] == plans[1]
        drawn = sorted(row for rows in plans[0] for row in rows)
        assert len(drawn) in (len(contiguous), len(contiguous) - 1)  # a last batch of one is dropped while training
        validated = sorted(row for rows in contiguous.valid.plan(0) for row in rows.tolist())
        assert validated == list(range(len(contiguous.valid.dataset)))

    def test_bunches_can_be_explained_and_drawn(self, contiguous: DataBunch) -> None:
        assert "tokens:    xxbos" in contiguous.explain(0)
        assert all(axes.get_title() for axes in contiguous.show_batch(2).axes)
        assert contiguous.check().broken == ()
        assert "NextToken, tokens: " in repr(contiguous)

    def test_there_are_as_many_batches_as_the_loader_says(self, contiguous: DataBunch) -> None:
        assert len(contiguous.train) == len(list(contiguous.train.epoch(0)))
        assert len(contiguous.valid) == len(list(contiguous.valid.epoch(0)))


class TestMaskedToken:
    def test_chunks_look_like_texts_of_the_encoder(self, masked: DataBunch) -> None:
        batch = next(iter(masked.train))
        assert batch.inputs.shape[1:] == (24,)
        assert set(batch.inputs[:, 0].tolist()) == {2}
        assert set(batch.inputs[:, -1].tolist()) == {3}

    def test_special_tokens_are_not_masked(self, masked: DataBunch) -> None:
        target: Any = masked.target
        inputs = torch.tensor([[2, *[20] * 400, 4, 0, 3]])
        changed, targets = target.mask_tokens(inputs, torch.tensor([5]), seeded(0))
        assert set(targets[targets != IGNORE_INDEX].tolist()) == {20}
        assert 4 in changed[0, 1:-3]

    def test_masks_differ_while_training_and_are_the_same_at_validation(self, masked: DataBunch) -> None:
        batch = next(iter(masked.valid))
        same = [masked.modality.prepare(batch, masked.target, None) for _ in range(2)]
        assert torch.equal(same[0].inputs, same[1].inputs)
        other = masked.modality.prepare(batch, masked.target, seeded(3))
        assert not torch.equal(same[0].inputs, other.inputs)
        assert torch.equal(batch.inputs, next(iter(masked.valid)).inputs)

    def test_a_tokenizer_without_a_mask_token_is_an_error(self) -> None:
        stage = TextList.from_texts(DOCUMENTS).split_by_index([0]).label_for_language_model(masked=True)
        with pytest.raises(DataError, match=r"tokenizer of words has no mask token.\nExpected .*\nFix: pass its name"):
            stage.tokenize("words")


class TestTargets:
    @pytest.fixture(params=[NextToken, MaskedToken])
    def target(self, request: pytest.FixtureRequest) -> NextToken:
        kind: type[NextToken] = request.param
        return kind(Tokenizer.from_encoder())

    def test_they_are_targets(self, target: NextToken) -> None:
        assert isinstance(target, Target)
        assert type(target).from_config(json.loads(json.dumps(target.to_config()))) == target
        assert type(target).from_config({"tokenizer": None}) == type(target)()
        assert target.outputs == 30522
        assert "30,522 of all-MiniLM-L6-v2" in target.summary
        assert NextToken().summary == "NextToken, tokens: not tokenized yet"

    def test_a_label_is_restored(self, target: NextToken) -> None:
        encoded = target.encode([2023, 2143])
        assert target.decode(target.to_probabilities(encoded[None])[0]) == ("this", "film")
        assert target.decode(torch.empty(0)) == ()
        assert target.caption(("this", "film")) == "this film"
        assert target.cells(("this", "film")) == {"tokens": "this film"}
        assert target.columns(torch.empty(0), [("this",)])["prediction"].to_pylist() == [["this"]]
        assert target.scores(torch.ones(3)) == {}

    def test_probabilities_of_both_kinds_of_outputs(self, target: NextToken) -> None:
        logits, vectors = torch.randn(1, 2, 5), torch.zeros(1, 2, 3)
        expected = logits.softmax(-1)
        for outputs in (logits, LanguageModelOutput(logits, vectors, vectors)):
            torch.testing.assert_close(target.activate(outputs), expected)

    def test_the_loss_counts_tokens(self, target: NextToken) -> None:
        loss = target.loss(smoothing=0.1)
        assert isinstance(loss, TokenLoss)
        assert loss.smoothing == 0.1

    def test_metrics_get_each_counted_token(self, target: NextToken) -> None:
        predictions, targets = torch.rand(2, 3, 5), torch.tensor([[1, IGNORE_INDEX, 2], [3, 4, IGNORE_INDEX]])
        predicted, labels = target.metric_inputs(predictions, targets, None)
        assert (predicted.shape, labels.tolist()) == ((4, 5), [1, 2, 3, 4])
        assert torch.equal(predicted[1], predictions[0, 2])
        whole = target.metric_inputs(predictions, targets.clamp(min=0), None)
        assert (whole[0].shape, whole[1].shape) == ((6, 5), (6,))

    def test_ignored_tokens_have_no_probabilities(self) -> None:
        target = NextToken(Tokenizer.from_encoder())
        soft = target.to_probabilities(torch.tensor([[3, IGNORE_INDEX]]))
        assert (soft[0, 0, 3].item(), soft[0, 0].sum().item(), soft[0, 1].sum().item()) == (1.0, 1.0, 0.0)

    def test_there_is_nothing_to_balance(self, target: NextToken) -> None:
        for call in (target.item_weights, target.weighted):
            with pytest.raises(DataError, match=f"balance= does not fit {target.kind}"):
                call([])

    @pytest.mark.parametrize(("last", "color"), [(2143, "tab:green"), (2023, "tab:red")])
    def test_the_title_is_green_if_the_last_token_is_right(self, target: NextToken, last: int, color: str) -> None:
        _, axes = grid(1, 1)
        drawn, labels = next(axes), torch.tensor([2023, 2143, IGNORE_INDEX])
        target.show(drawn, labels, one_hot([2023, last]))
        assert drawn.get_title().splitlines()[0] == "this film"
        assert drawn.get_title().splitlines()[1].startswith("→ this ")
        assert drawn.title.get_color() == color
        target.legend(None)


def one_hot(token_ids: list[int]) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(token_ids), 30522).float()
