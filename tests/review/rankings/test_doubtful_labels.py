"""Planted errors come first, and nothing is listed that nothing speaks against."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import onecycle as oc
from learners import photo_bunch, plain_model, tiny
from onecycle.errors import DataError, ModelError
from onecycle.review.rankings.doubtful_labels import label_doubts
from ranked_items import clusters, item_features, random_hashes

WRONG = [3, 50, 51, 100]


def planted() -> tuple[torch.Tensor, list[str]]:
    vectors, labels = clusters()
    for place in WRONG:
        labels[place] = "cat" if labels[place] != "cat" else "owl"
    return vectors, labels


def test_planted_errors_of_classes_come_first() -> None:
    vectors, labels = planted()
    target = oc.Category(("cat", "dog", "owl"))
    doubts = label_doubts(item_features(vectors, labels, hashes=random_hashes(120)), target)
    assert sorted(doubts.score.argsort(descending=True)[:4].tolist()) == WRONG
    listed = doubts.is_doubtful.nonzero()[:, 0].tolist()
    assert len(listed) >= 2
    assert set(listed) <= set(WRONG)
    row = WRONG[1]
    assert doubts.share is not None
    assert float(doubts.share[row]) <= 0.2
    expected = -math.log(float(doubts.own[row])) - math.log(float(doubts.share[row]) + 0.02)
    assert float(doubts.score[row]) == pytest.approx(expected, rel=1e-5)


def test_copies_with_the_same_wrong_label_do_not_vouch_for_one_another() -> None:
    vectors, labels = planted()
    hashes = random_hashes(120)
    group = list(range(50, 62))  # twelve copies, more than the neighbours that are asked
    vectors[group], hashes[group] = vectors[50].clone(), hashes[50].clone()
    for place in group:
        labels[place] = "cat"
    target = oc.Category(("cat", "dog", "owl"))
    doubts = label_doubts(item_features(vectors, labels, hashes=hashes), target)
    assert set(group) <= set(doubts.score.argsort(descending=True)[:16].tolist())
    assert doubts.share is not None
    assert float(doubts.share[group].max()) == 0


def test_texts_are_ranked_by_their_probability_alone() -> None:
    vectors, labels = planted()
    doubts = label_doubts(item_features(vectors, labels), oc.Category(("cat", "dog", "owl")))
    assert doubts.share is None
    assert torch.allclose(doubts.score, -doubts.own.log())
    assert sorted(doubts.score.argsort(descending=True)[:4].tolist()) == WRONG


def test_of_tags_the_doubtful_one_is_named() -> None:
    vectors, names = clusters()
    target = oc.MultiCategory(("cat", "dog", "owl", "wings"))
    labels = [[name, "wings"] if name == "owl" else [name] for name in names]
    labels[100], labels[10] = ["owl"], ["cat", "wings"]
    doubts = label_doubts(item_features(vectors, labels, hashes=random_hashes(120), target=target), target)
    assert sorted(doubts.score.argsort(descending=True)[:2].tolist()) == [10, 100]
    assert [target.classes[int(doubts.other[place])] for place in (10, 100)] == ["wings", "wings"]


@pytest.fixture(scope="module")
def learner(photos: Path) -> oc.Learner:
    return tiny(photo_bunch(photos))


def test_all_items_of_both_splits_are_ranked_with_a_reason(learner: oc.Learner) -> None:
    ranked = oc.doubtful_labels(learner, all_items=True)
    table = ranked.table
    assert len(ranked) == 30
    assert set(table["split"].to_pylist()) == {"train", "valid"}
    assert table["score"].to_pylist() == sorted(table["score"].to_pylist(), reverse=True)
    assert all("has not seen it" in reason for reason in table["reason"].to_pylist())
    names = learner.data.train.dataset.rows.names() + learner.data.valid.dataset.rows.names()
    assert sorted(table["item"].to_pylist()) == sorted(names)


def test_a_body_s_outputs_are_computed_once(learner: oc.Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    first = oc.doubtful_labels(learner, all_items=True)
    with monkeypatch.context() as patch:
        patch.setattr(learner.model.body, "forward", None)
        assert oc.doubtful_labels(learner, all_items=True).table == first.table
    with torch.no_grad():
        next(learner.model.body.parameters()).mul_(1.1)
    assert oc.doubtful_labels(learner, all_items=True).table != first.table


def test_a_wrong_label_is_listed(photos: Path) -> None:
    """The photos' colours tell their classes; one red photo is called blue."""
    items = oc.ImageList.from_folder(photos).split_by_index(range(0, 30, 5))
    labelled = items.label_from_function(lambda path: "blue" if path.name == "red_3.jpg" else path.parent.name)
    bunch = labelled.transform(32, augment=oc.augment.none()).databunch(8)
    listed = oc.doubtful_labels(oc.Learner(bunch, MeanColour(), progress=False))
    assert listed.table.select(["item", "label", "predicted"]).to_pylist() == [
        {"item": "red/red_3.jpg", "label": "blue", "predicted": "red"}
    ]
    assert listed.table["reason"][0].as_py().startswith("A model that has not seen it says red (")
    assert listed.show().axes[0].get_title().startswith("blue\n→ red")


class MeanColour(oc.GroupedModel):
    """Its features are the mean of each colour."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(3, 3)


def test_numbers_and_models_without_a_body_are_refused_and_the_fixes_work(photos: Path) -> None:
    items = oc.ImageList.from_folder(photos).split_by_index(range(0, 30, 5))
    numbers = items.label_numbers(lambda path: float(path.stem[-1])).transform(32).databunch(8)
    learner = tiny(numbers)
    with pytest.raises(ModelError, match=r"doubtful_labels\(\) of numbers\.[\s\S]*show_results\(worst=True\)"):
        oc.doubtful_labels(learner)
    assert learner.show_results(2, worst=True).axes
    plain = oc.Learner(photo_bunch(photos), plain_model(), progress=False)
    with pytest.raises(ModelError, match=r"A Sequential has no body[\s\S]*use vision_learner\(\)"):
        oc.doubtful_labels(plain)
    assert oc.doubtful_labels(tiny(photo_bunch(photos))).title


def test_too_few_labels_are_refused_and_more_are_not(photos: Path) -> None:
    few = (
        oc.ImageList.from_folder(photos)[[0, 1, 2, 10, 11, 12, 20, 21, 22]]
        .split_by_index([0])
        .label_from_folder()
        .transform(32)
    )
    with pytest.raises(DataError, match=r"9 items of 3 classes\.[\s\S]*label more items first"):
        oc.doubtful_labels(tiny(few.databunch(4)))
