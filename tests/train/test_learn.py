"""Learning from corrections: what is learned from, what is measured, and when the model stays as it is."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from noisy_photos import COLOURS, draw
from onecycle.data.judged import read_said
from onecycle.train import learn
from onecycle.train.heads import make_head
from onecycle.train.judgements import Judgement, as_label, read_judgements
from onecycle.train.layer_groups import GroupedModel
from onecycle.train.learned import Change, Learned, reason_of
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def trained(photos: Path) -> Learner:
    learner = tiny(photo_bunch(photos), head_steps=100)
    learner.fit_one_cycle(2, 1e-2)
    return learner


@pytest.fixture
def learner(trained: Learner) -> Learner:
    return copy.deepcopy(trained)


@pytest.fixture(scope="module")
def new_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("new")
    for name, colour in COLOURS.items():
        for number in range(10):
            draw(root / f"{name}_{number}.jpg", colour, seed=70 + number)
    return root


def judge(journal: oc.Journal, photos: Path, verdict_of: Any) -> oc.Journal:
    for path in sorted(photos.iterdir()):
        key = journal.record(path.read_bytes(), name=path.name, suffix=".jpg", model="m", predicted="red")
        if said := verdict_of(path):
            journal.judge(key, *said)
    return journal


def right_or_wrong(path: Path) -> tuple[Any, ...]:
    name = path.stem.split("_")[0]
    return ("right",) if name == "red" else ("wrong", name)


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return learner.state.copy_weights()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


class TestLearn:
    def test_the_same_journal_gives_the_same_bits(self, learner: Learner, new_photos: Path, tmp_path: Path) -> None:
        journal = judge(oc.Journal(tmp_path / "a.journal"), new_photos, right_or_wrong)
        before, other = weights(learner), copy.deepcopy(learner)
        learned = learner.learn(journal, tolerance=100)
        assert learned.accepted
        assert learned.trained == {
            "corrected": learned.corrected.items,
            "confirmed": 30 - learned.new.items - learned.corrected.items,
        }
        assert 0 < learned.new.items < 15
        after = weights(learner)
        assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("body."))
        assert not same(before, after)
        # also where the judgements come in another order, from another machine
        journal.export(tmp_path / "journal.parquet")
        moved = oc.Journal(tmp_path / "b.journal")
        moved.merge(tmp_path / "journal.parquet")
        other.learn(moved, tolerance=100)
        assert same(weights(other), after)
        # the card is of the new head
        metrics = learner.state.weights_record.metrics  # type: ignore[union-attr]
        assert metrics["accuracy"] == pytest.approx(learner.validate()["accuracy"])
        assert "learned from corrections, head refitted" in learner.history.notes[-1]

    def test_what_is_held_back_is_never_trained_on(
        self, learner: Learner, new_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = judge(oc.Journal(tmp_path / "a.journal"), new_photos, right_or_wrong)
        given: list[Any] = []
        fitted = learn._fitted
        monkeypatch.setattr(learn, "_fitted", lambda *all_: given.append(all_) or fitted(*all_))
        learned = learner.learn(journal, tolerance=100)
        features = given[0][2]
        weight = 2 * learned.trained["corrected"] + learned.trained["confirmed"]
        assert len(features.inputs) == 24 + weight
        judged = learn.judged_features(learner.state, read_judgements(journal, learner.data).items, learner.model)
        held = [one.held_back for one in read_judgements(journal, learner.data).items]
        rows = {tuple(row) for row in features.inputs.tolist()}
        assert sum(held) == learned.new.items
        assert [tuple(row) in rows for row in judged.inputs.tolist()] == [not one for one in held]

    def test_corrections_that_the_others_contradict_are_not_trained_on_and_named(
        self, learner: Learner, new_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = judge(oc.Journal(tmp_path / "a.journal"), new_photos, right_or_wrong)
        every = copy.deepcopy(learner).learn(journal, tolerance=100)
        doubt_all = lambda old, judged, corrected, seed: corrected  # noqa: E731
        monkeypatch.setattr(learn, "contradicted", doubt_all)
        learned = learner.learn(journal, tolerance=100)
        assert learned.trained == {"corrected": 0, "confirmed": every.trained["confirmed"]}
        assert len(learned.doubted) == every.trained["corrected"] > 0
        assert learned.new.items == every.new.items
        assert learned.used["journal"]["trained on"] == every.trained["confirmed"]
        assert "not trained on, since the other items contradict them: " in repr(learned)
        assert learned.to_dict()["doubted"] == list(learned.doubted)

    def test_a_model_that_would_get_worse_stays(self, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
        """Everything that was right is corrected to what is wrong, and the validation set notices."""
        tried: list[int] = []
        monkeypatch.setattr(learn.Learning, "_passes", lambda self, changes: False)
        fit_head = learn.Learning._fit_head
        monkeypatch.setattr(
            learn.Learning, "_fit_head", lambda self, weight: tried.append(weight) or fit_head(self, weight)
        )
        before, record = weights(learner), learner.state.weights_record
        corrections = oc.Corrections()
        corrections.append([f"red/red_{number}.jpg" for number in range(10)], "relabel", "blue")
        learned = learner.learn(corrections)
        assert not learned.accepted
        assert tried == [2, 1]
        assert same(weights(learner), before)
        assert learner.state.weights_record is record
        assert repr(learned).startswith("Not accepted, the model is as it was: ")
        learned = learner.learn(corrections, only_corrections=True)
        assert not learned.accepted
        assert same(weights(learner), before)

    def test_only_corrections_goes_back_until_the_old_set_is_right(
        self, learner: Learner, new_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = judge(oc.Journal(tmp_path / "a.journal"), new_photos, right_or_wrong)
        before = weights(learner)
        new = {name: torch.zeros_like(tensor) if "head" in name and tensor.is_floating_point() else tensor
               for name, tensor in before.items()}  # fmt: skip
        monkeypatch.setattr(learn, "_trained_alone", lambda state, chosen: new)
        monkeypatch.setattr(learn, "SHARES", (1.0, 0.0))
        learned = learner.learn(journal, only_corrections=True, tolerance=0)
        assert learned.method == "on the corrected items alone, 0.0% of the way from the old weights"

    def test_corrected_labels_of_the_data(self, learner: Learner) -> None:
        """Training items have their new label, validation items too, and what is removed is gone."""
        train, valid = learner.data.train.dataset.rows.names(), learner.data.valid.dataset.rows.names()
        corrections = oc.Corrections()
        corrections.append(train[0], "remove")
        corrections.append(train[1], "keep")
        corrections.append(train[2:12], "relabel", "green")
        corrections.append(valid[0], "remove")
        corrections.append(valid[1], "relabel", "green")
        learned = learner.learn(corrections, tolerance=100)
        assert learned.old.items == len(valid) - 1
        assert learned.corrected.items + learned.new.items == 10

    def test_tags(self, tagged: Path, tmp_path: Path) -> None:
        learner = tiny(tag_bunch(tagged))
        learner.fit_one_cycle(1, 1e-2)
        journal = oc.Journal(tmp_path / "a.journal")
        for number in range(12):
            content = (tagged / "images" / f"tile_{number}.png").read_bytes() + bytes([number])
            key = journal.record(content, name="x", suffix=".png", model="m", predicted=["red"])
            journal.judge(key, *(("wrong", ["blue", "green"]) if number % 2 else ("right",)))
        learned = learner.learn(journal, tolerance=100)
        assert learned.accepted
        assert learned.trained["confirmed"] > 0
        assert "An item is right if all of its tags are." in repr(learned)
        # of a validation item no tag may be right, and one that the model does not have
        names, none, unknown = learner.data.valid.dataset.rows.names(), oc.Corrections(), oc.Corrections()
        none.append(names[0], "relabel", [])
        assert read_judgements([journal, none], learner.data).valid == {0: []}
        unknown.append(names[0], "relabel", "violet")
        found = read_judgements([journal, unknown], learner.data)
        assert (found.valid, found.left_out) == ({0: None}, {})
        assert found.unused == {"with the label 'violet', which the model does not have": 1}


def record(journal: oc.Journal, path: Path, *said: Any) -> None:
    predicted = "another" if said[0] == "wrong" else said[-1]
    key = journal.record(path.read_bytes(), name=path.name, suffix=".jpg", model="m", predicted=predicted)
    journal.judge(key, *said)


class TestBothSources:
    def test_corrections_and_a_journal_are_learned_from_together(
        self, learner: Learner, new_photos: Path, tmp_path: Path
    ) -> None:
        journal = judge(oc.Journal(tmp_path / "a.journal"), new_photos, right_or_wrong)
        names = learner.data.train.dataset.rows.names()
        corrections = oc.Corrections(path=tmp_path / "c.parquet")
        corrections.append(names[:10], "relabel", "green")
        learned = learner.learn([journal, tmp_path / "c.parquet"], tolerance=100)
        used = learned.used
        assert sum(used["journal"].values()) == 30
        assert sum(used["corrections"].values()) == 10
        assert sum(learned.trained.values()) == used["journal"]["trained on"] + used["corrections"]["trained on"]
        assert f"used from the corrections: {used['corrections']['trained on']} trained on" in repr(learned)

    def test_the_last_word_counts_wherever_it_was_said(self, learner: Learner, tmp_path: Path) -> None:
        rows = learner.data.train.dataset.rows
        corrections = oc.Corrections()
        corrections.append(rows.names()[:8], "relabel", "green")
        journal = oc.Journal(tmp_path / "a.journal")
        for path in rows.paths[:4]:
            record(journal, path, "wrong", "blue")
        found = read_judgements([journal, corrections], learner.data)
        assert sorted((one.row, one.label, one.source) for one in found.items) == [
            *((row, "blue", "journal") for row in range(4)), *((row, "green", "corrections") for row in range(4, 8)),
        ]  # fmt: skip


class TestItemsOfTheData:
    def test_validation_photos_of_a_journal_are_measured_on_and_not_trained_on(
        self, learner: Learner, new_photos: Path, tmp_path: Path
    ) -> None:
        valid = learner.data.valid.dataset.rows
        journal = judge(oc.Journal(tmp_path / "a.journal"), new_photos, right_or_wrong)
        for path in valid.paths[:3]:
            record(journal, path, "wrong", "green")
        found = read_judgements(journal, learner.data)
        assert len(found.items) == 30
        assert found.valid == dict.fromkeys(range(3), "green")
        assert found.left_out == {"validation items: measured on, not trained on": 3}
        learned = learner.learn(journal, tolerance=100)
        assert "left out of training: 3 validation items: measured on, not trained on" in repr(learned)

    def test_the_label_of_a_training_photo_is_replaced(self, learner: Learner, tmp_path: Path) -> None:
        journal = oc.Journal(tmp_path / "a.journal")
        train = learner.data.train.dataset.rows
        for path in train.paths:
            record(journal, path, "wrong", "green")
        found = read_judgements(journal, learner.data)
        assert sorted((one.row, one.item) for one in found.items) == list(enumerate(train.names()))
        held = len(found.held_back())
        assert 0 < held < 24
        learned = learner.learn(journal, tolerance=100)
        assert learned.held_back_own == held
        assert "new to both" not in repr(learned)
        assert f"training items held back, which only the model before had learned: {held} items" in repr(learned)

    def test_removed_items_are_counted(self, learner: Learner) -> None:
        train, valid = learner.data.train.dataset.rows.names(), learner.data.valid.dataset.rows.names()
        corrections = oc.Corrections()
        corrections.append(train[:2], "remove")
        with pytest.raises(oc.DataError, match="2 removed from the training items") as error:
            learner.learn(corrections)
        assert "onecycle train DATA --corrections FILE" in error.value.fix
        corrections.append(train[2:10], "relabel", "green")
        corrections.append(valid[:3], "remove")
        learned = learner.learn(corrections, tolerance=100)
        assert learned.left_out == {"removed from the training items": 2, "removed from the validation set": 3}
        assert "left out of training: 2 removed from the training items, 3 removed from" in repr(learned)
        assert learned.to_dict()["left_out"] == learned.left_out


def test_metrics_before_are_of_this_model_and_these_labels(learner: Learner) -> None:
    """Every validation item is relabelled, and the record is of other weights."""
    train, valid = learner.data.train.dataset.rows.names(), learner.data.valid.dataset.rows.names()
    learner.state.weights_record = replace(learner.state.weights_record, metrics={"accuracy": 0.123})  # type: ignore[type-var]
    corrections = oc.Corrections()
    corrections.append(valid, "relabel", "green")
    corrections.append(train[:10], "relabel", "green")
    learned = learner.learn(corrections, tolerance=100)
    assert learned.metrics["accuracy"] == pytest.approx(
        (learned.old.before / len(valid), learned.old.after / len(valid))
    )


def test_a_new_head_with_a_hidden_layer_starts_as_one_of_a_new_model(learner: Learner) -> None:
    assert isinstance(learner.model, GroupedModel)
    made = make_head(256, 50, hidden=512, dropout=0.1)
    new = learn._new_head(learn.HeadAlone(made, learner.model), seed=1)
    for head in (made, new):
        first, last = (layer for layer in head.modules() if isinstance(layer, nn.Linear))
        assert first.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.03)
        assert last.weight.std().item() == pytest.approx(512**-0.5, rel=0.03)
        assert not last.bias.any()
    assert not torch.equal(made[2].weight, new[2].weight)


class TestErrors:
    def test_nothing_to_learn_from_is_counted(self, learner: Learner, new_photos: Path, tmp_path: Path) -> None:
        verdicts = {"red": ("unknown",), "blue": ("wrong",), "green": ("wrong", "violet")}
        journal = judge(oc.Journal(tmp_path / "a.journal"), new_photos, lambda p: verdicts[p.stem.split("_")[0]])
        key = journal.record(b"x", name="x", suffix=".jpg", model="m", predicted="red")
        journal.judge(key, "right")
        journal.judge(key, "undo")
        with pytest.raises(oc.DataError, match="There is nothing to learn from: ") as error:
            learner.learn(journal)
        for said in ("10 of which nobody could tell", "10 wrong, without a word on what is right", "1 taken back",
                     "10 with the label 'violet', which the model does not have"):  # fmt: skip
            assert said in error.value.what
        assert "a new class needs a new training: " in error.value.fix
        assert "onecycle train DATA --corrections FILE" in error.value.fix
        judge(journal, new_photos, right_or_wrong)  # as the fix says
        assert learner.learn(journal, tolerance=100).unused == {"taken back": 1}

    def test_points_cannot_be_learned(self, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(learner.state), "target", property(lambda self: oc.Numbers(("a",), (0.0,), (1.0,))))
        with pytest.raises(oc.ModelError, match=r"learn\(\) of .*, which predicts numbers") as error:
            learner.learn(oc.Corrections())
        assert "correct the labels in the data" in error.value.fix

    def test_a_tolerance_is_in_points(self, learner: Learner) -> None:
        with pytest.raises(oc.ModelError, match="tolerance=-1"):
            learner.learn(oc.Corrections(), tolerance=-1)

    def test_one_correction_is_too_few_alone(self, learner: Learner) -> None:
        name = next(
            name for name in learner.data.train.dataset.rows.names() if not Judgement(name, name, "red", True).held_back
        )
        corrections = oc.Corrections()
        corrections.append(name, "relabel", "green")
        with pytest.raises(oc.DataError, match="1 corrected items to train on alone"):
            learner.learn(corrections, only_corrections=True)
        assert isinstance(learner.model, GroupedModel)
        assert learner.learn(corrections, tolerance=100).accepted  # as the fix says

    def test_what_was_judged_again_is_not_taken_back(self, tmp_path: Path) -> None:
        journal = oc.Journal(tmp_path / "a.journal")
        key = journal.record(b"x", name="x", suffix=".jpg", model="m", predicted="red")
        for verdict in ("right", "undo", "right"):
            journal.judge(key, verdict)  # type: ignore[arg-type]
        assert not read_said(journal).unused
        corrections = oc.Corrections()
        for decision in ("keep", "undo", "keep"):
            corrections.append("a.jpg", decision)  # type: ignore[arg-type]
        assert not read_said(corrections).unused


class TestReport:
    def learned(self, old: Change, new: Change) -> Learned:
        return Learned(True, "head refitted", reason_of(old, new, 1.0), Change(0, 0, 0), new, old)

    def test_a_fall_that_only_chance_explains_is_told(self) -> None:
        said = repr(self.learned(Change(40, 36, 35, won=1, lost=2), Change(50, 40, 41, won=1)))
        assert "the validation set fell by 2.5 points, no more than chance explains on 40 items" in said
        assert "what was held back rose by 2.0 points" in said
        assert "gain" not in said
        assert "prove nothing" not in said

    def test_few_that_were_held_back_prove_nothing(self) -> None:
        said = repr(self.learned(Change(40, 36, 37, won=1), Change(29, 4, 4)))
        assert "Only 29 answers were held back: fewer than 30 prove nothing about new items." in said
        assert "No answers were held back" in repr(self.learned(Change(40, 36, 37, won=1), Change(0, 0, 0)))

    def test_better_on_neither_is_no_gain(self) -> None:
        learned = self.learned(Change(40, 36, 36, won=1, lost=1), Change(30, 4, 4))
        assert "No measurable gain" in repr(learned)
        assert "No measurable gain" in learned._repr_html_()
        assert learned.to_dict()["measurable_gain"] is False

    def test_as_many_right_are_not_always_the_same_items(self) -> None:
        said = repr(self.learned(Change(120, 43, 43, won=6, lost=6), Change(38, 4, 4)))
        assert "the validation set is as right as before: 6 more right, 6 more wrong" in said
        assert "what was held back is as right as before: the same items" in said


class TestGuard:
    @pytest.mark.parametrize(
        ("items", "won", "lost", "tolerance", "passes"),
        [
            (450, 0, 4, 1.0, True),  # less than a point
            (450, 0, 5, 1.0, False),  # 1.1 points, and 5 > 1.64 * sqrt(5) = 3.67
            (450, 10, 17, 1.0, True),  # 1.6 points, but 7 < 1.64 * sqrt(27) = 8.52
            (450, 10, 20, 1.0, False),  # 10 > 1.64 * sqrt(30) = 8.98
            (450, 0, 5, 2.0, True),
            (0, 0, 0, 1.0, True),
            (5, 0, 2, 1.0, True),  # two of five may be chance
            (9, 0, 3, 1.0, False),
        ],
    )
    def test_it_is_the_rule_of_the_issue(self, items: int, won: int, lost: int, tolerance: float, passes: bool) -> None:
        assert Change(items, lost, won, won, lost).passes(tolerance) is passes

    def test_won_and_lost_are_counted(self) -> None:
        before, after = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, True])
        assert Change.between(before, after) == Change(4, 2, 3, won=2, lost=1)


def test_a_fifth_is_held_back_and_always_the_same() -> None:
    held = [Judgement(str(number), "", "", True).held_back for number in range(2000)]
    assert 340 < sum(held) < 460
    assert [number for number in range(30) if held[number]] == [
        number for number in range(30) if Judgement(str(number), "elsewhere", "x", False).held_back
    ]


def test_tags_are_read_as_the_model_knows_them() -> None:
    target = oc.MultiCategory(("big dog", "cat", "dog"))
    assert as_label("big dog", target) == ["big dog"]
    assert as_label("cat;big dog", target) == ["cat", "big dog"]
    assert as_label('["dog", "cat"]', target) == ["dog", "cat"]
    assert as_label("", target) == []
    assert as_label("fish cat", target) == ["fish cat"]  # no way to read it
