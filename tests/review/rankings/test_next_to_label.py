"""Which new items are chosen: first the typical, then those between two classes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from onecycle.errors import DataError, ModelError
from onecycle.review.rankings.next_to_label import _Choice
from ranked_items import clusters, item_features

THREE = oc.Category(("cat", "dog", "owl"))


def choice(labelled: list[int]) -> _Choice:
    vectors, labels = clusters()
    splits = ["train" if place in labelled else "pool" for place in range(120)]
    return _Choice(item_features(vectors, labels, splits=splits, target=THREE), THREE, 0)


def test_at_first_each_cluster_without_a_label_gives_its_densest_item() -> None:
    chosen = choice([0]).choose(2)
    assert sorted(one.place // 40 for one in chosen) == [1, 2]
    units = torch.nn.functional.normalize(clusters()[0], dim=1)
    for one in chosen:
        own = units[one.place // 40 * 40 : one.place // 40 * 40 + 40]
        density = (own @ own.T).topk(21, 1).values.mean(1)
        assert float((own @ units[one.place]).topk(21).values.mean()) == pytest.approx(float(density.max()))
        assert one.reason == "It is the most typical of 40 similar items, none of them labelled."


def test_later_the_items_between_two_classes_are_chosen() -> None:
    """With 60 labels for three classes there are enough; points halfway between two centres are not known."""
    vectors, labels = clusters()
    middle = (vectors[:40].mean(0) + vectors[40:80].mean(0)) / 2
    vectors = torch.cat([vectors, middle + torch.randn(40, 16, generator=torch.Generator().manual_seed(0)) * 0.1])
    splits = ["train" if place % 2 else "pool" for place in range(120)] + ["pool"] * 40
    features = item_features(vectors, [*labels, *["cat"] * 40], splits=splits, target=THREE)
    chosen = _Choice(features, THREE, 0).choose(3)
    assert all(one.place >= 120 for one in chosen)
    assert all("It may be " in one.reason and "owl" not in one.reason for one in chosen)
    assert [one.score for one in chosen] == sorted((one.score for one in chosen), reverse=True)


def test_never_more_than_there_are_and_none_twice() -> None:
    for labelled in ([0], list(range(0, 120, 2))):
        chosen = choice(labelled).choose(200)
        assert len({one.place for one in chosen}) == len(chosen) == 120 - len(labelled)
        assert not {one.place for one in chosen} & set(labelled)


@pytest.fixture(scope="module")
def learner(photos: Path) -> oc.Learner:
    return tiny(photo_bunch(photos))


def test_a_pool_is_a_folder_a_list_or_files(learner: oc.Learner, photos: Path) -> None:
    folder = oc.next_to_label(learner, photos / "red", 3)
    files = oc.next_to_label(learner, [photos / "red" / name for name in folder.table["item"].to_pylist()], 3)
    assert len(folder) == len(files) == 3
    assert set(folder.table["split"].to_pylist()) == {"pool"}
    assert len(folder.show().items) == 3
    assert len(oc.next_to_label(learner, oc.ImageList.from_folder(photos), 5)) == 5


def test_tags(tagged: Path) -> None:
    found = oc.next_to_label(tiny(tag_bunch(tagged)), tagged / "images", 4)
    assert len(found) == 4
    assert "applies is least clear" in found.table["reason"][-1].as_py()
    assert found.table.schema.field("predicted").type == oc.MultiCategory.label_type


def test_wrong_calls_are_refused(learner: oc.Learner, photos: Path) -> None:
    with pytest.raises(DataError, match=r"count=0\.[\s\S]*pass count=20"):
        oc.next_to_label(learner, photos, 0)
    items = oc.ImageList.from_folder(photos).split_by_index([0])
    numbers = tiny(items.label_numbers(lambda path: float(path.stem[-1])).transform(32).databunch(8))
    with pytest.raises(ModelError, match=r"next_to_label\(\) of numbers\.[\s\S]*label a random part"):
        oc.next_to_label(numbers, photos)
    assert len(oc.next_to_label(learner, photos, count=20)) == 20
