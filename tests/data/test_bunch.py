"""The loaders bound together: tried at once, shown, explained, checked, resized."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import onecycle as oc
from noisy_photos import draw
from onecycle.data.bunch import DataBunch
from onecycle.errors import DataError
from onecycle.vision.labelled_images import LabelledImages


def split_of(folder: Path, valid: list[int] | None = None) -> LabelledImages:
    split = oc.ImageList.from_folder(folder).split_by_index(valid or [3, 7])
    return split.label_from_folder().transform(16, augment=oc.augment.none())


def rows(bunch: DataBunch, epoch: int) -> list[int]:
    """The training rows of an epoch in their order."""
    order = bunch.train.order(epoch)
    return order.rows(torch.arange(len(order))).tolist()  # type: ignore[no-any-return]


def test_a_bunch_knows_its_classes_and_lengths(bunch: DataBunch) -> None:
    assert bunch.classes == ("blue", "green", "red")
    assert (len(bunch), bunch.batch_size) == (24, 8)
    assert [len(bunch.loader(split).dataset) for split in ("train", "valid", "test")] == [24, 6, 10]
    assert (bunch.train.shuffle, bunch.valid.shuffle, bunch.test.shuffle) == (True, False, False)


def test_a_batch_is_uint8_with_encoded_labels(bunch: DataBunch) -> None:
    batch = next(iter(bunch.train))
    assert (batch.inputs.dtype, batch.inputs.shape) == (torch.uint8, (8, 18, 18, 3))
    for row, target in zip(batch.index.tolist(), batch.targets.tolist(), strict=True):
        assert bunch.classes[target] == bunch.train.dataset.name(row).split("/")[0]
    assert next(iter(bunch.valid)).inputs.shape == (6, 16, 16, 3)


def test_an_unknown_split_is_an_error(labelled: LabelledImages) -> None:
    bunch = labelled.databunch(8)
    for split in ("test", "val"):
        message = (
            rf"This bunch has no split '{split}'.\nExpected \"train\", \"valid\", or \"test\" after.*\nFix: add a test"
        )
        with pytest.raises(DataError, match=message):
            bunch.loader(split)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"balance": "weights"}, r"balance='weights'.\nExpected \"sampling\", \"loss\" or None.\nFix: pass one"),
        ({"cache": "ram"}, r"cache='ram'.\nExpected \"auto\", \"memory\", \"disk\" or None.\nFix: pass one"),
        ({"batch_size": 0}, r'batch_size=0.\nExpected 1 or more, or "auto".\nFix: pass batch_size=64'),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str, labelled: LabelledImages) -> None:
    with pytest.raises(DataError, match=message):
        labelled.databunch(**options)


def test_sampling_draws_rare_classes_as_often_as_common_ones(photos: Path) -> None:
    names = [f"blue/blue_{number}.jpg" for number in range(10)] + ["red/red_0.jpg", "red/red_1.jpg"]
    paths = [photos / name for name in names]
    split = oc.ImageList.from_paths(paths).split_by_index([0]).label_from_folder()
    bunch = split.transform(16).databunch(4, balance="sampling")
    drawn = torch.tensor([rows(bunch, epoch) for epoch in range(200)]).flatten()
    assert (drawn >= 9).float().mean().item() == pytest.approx(0.5, abs=0.05)  # 2200 draws: 4 deviations are 0.043


def test_loss_balance_weighs_rare_classes(photos: Path) -> None:
    paths = [photos / "blue" / f"blue_{number}.jpg" for number in range(4)] + [photos / "red/red_0.jpg"] * 2
    split = oc.ImageList.from_paths(paths).split_by_index([0]).label_from_folder()
    bunch = split.transform(16).databunch(4, balance="loss")
    assert bunch.target.class_weights == pytest.approx((5 / 2 / 3, 5 / 2 / 2))
    assert bunch.train.weights is None
    assert bunch.resize(8).target.class_weights == bunch.target.class_weights


def test_a_bad_file_shows_when_the_bunch_is_made(own: Path) -> None:
    for number in range(4):
        (own / "dogs" / f"{number}.jpg").write_bytes((own / "dogs" / f"{number}.jpg").read_bytes()[:300])
    with pytest.raises(DataError, match=r"dogs/\d.jpg is damaged"):
        split_of(own, [4, 5]).databunch(2)


def test_bad_files_may_be_skipped(own: Path) -> None:
    path = own / "dogs" / "1.jpg"
    path.write_bytes(path.read_bytes()[:300])
    bunch = split_of(own).databunch(3, on_bad_item="skip")
    with pytest.warns(UserWarning, match=r"Skipped dogs/1.jpg"):
        rows = [row for batch in bunch.train for row in batch.index.tolist()]
    assert len(rows) == 5
    assert len(bunch.show_batch().axes) == 5 + 3, "two rows of four, the three last without a picture"


def test_resizing_changes_the_size_and_nothing_else(bunch: DataBunch) -> None:
    larger = bunch.resize((20, 24))
    batch = next(iter(larger.valid))
    assert batch.inputs.shape == (6, 20, 24, 3)
    assert torch.equal(batch.index, next(iter(bunch.valid)).index)
    assert rows(larger, 3) == rows(bunch, 3)
    assert next(iter(bunch.valid)).inputs.shape == (6, 16, 16, 3)


def test_training_items_may_be_read_another_way_while_validation_stays(photos: Path) -> None:
    labelled = oc.ImageList.from_folder(photos).split_random(0.25, seed=1).label_from_folder()
    bunch = labelled.transform(16, augment=oc.augment.none()).databunch(8, workers=0, balance="sampling")
    smaller = bunch.train_as(bunch.modality.resize((8, 12)))
    assert next(iter(smaller.train)).inputs.shape == (8, 8, 12, 3)
    assert smaller.prepared(smaller.train.dataset, [0]).inputs.shape == (1, 3, 8, 12)
    assert smaller.valid is bunch.valid
    assert rows(smaller, 3) == rows(bunch, 3)  # rare classes are drawn as often
    assert next(iter(bunch.train)).inputs.shape == (8, 16, 16, 3)


def test_another_batch_size_keeps_the_order(bunch: DataBunch) -> None:
    small = bunch.with_batch_size(5)
    assert (small.batch_size, bunch.batch_size) == (5, 8)
    assert rows(small, 1) == rows(bunch, 1)


def test_new_items_are_read_as_at_prediction(bunch: DataBunch, photos: Path) -> None:
    loader = bunch.in_order_of(oc.ImageList.from_folder(photos / "green").items)
    batches = list(loader)
    assert [len(batch) for batch in batches] == [8, 2]
    assert (batches[0].targets, batches[0].inputs.shape[1:]) == (None, (16, 16, 3))


def test_a_bunch_prints_its_stages(bunch: DataBunch) -> None:
    text = repr(bunch)
    assert text.startswith(
        "DataBunch: batches of 8, cached in memory\n  LabelledImages: 24 training, 6 validation, 10 test items"
    )
    assert "Category, 3 classes: blue, green, red" in text
    assert "augment: HorizontalFlip" in text
    assert "16x16 pixels" in text
    assert "2 workers" in repr(bunch.labelled.databunch(8, cache=None, workers=2))


@pytest.mark.parametrize("count", [1, 3, 8])
def test_show_batch_draws_as_many_images_as_asked(count: int, bunch: DataBunch) -> None:
    figure = bunch.show_batch(count)
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == count
    order = rows(bunch, 0)[:count]
    assert [axes.get_title() for axes in drawn] == [bunch.train.dataset.label(row) for row in order]
    assert all(axes.images[0].get_array().shape == (16, 16, 3) for axes in drawn)


def test_show_batch_draws_any_split(bunch: DataBunch) -> None:
    assert len([axes for axes in bunch.show_batch(split="valid").axes if axes.images]) == 6
    titles = [axes.get_title() for axes in bunch.show_batch(4, split="test").axes]
    assert titles == [""] * 4, "the test set has no labels"


def test_show_augmentations_draws_one_image_again_and_again(bunch: DataBunch) -> None:
    drawn = [axes for axes in bunch.show_augmentations(item=2, count=6).axes if axes.images]
    assert [axes.get_title() for axes in drawn] == ["not augmented", *(f"augmented {number}" for number in range(1, 6))]
    pictures = [torch.as_tensor(axes.images[0].get_array().data) for axes in drawn]
    assert all(picture.shape == (16, 16, 3) for picture in pictures)
    assert not any(torch.equal(pictures[0], picture) for picture in pictures[1:])
    again = [axes.images[0].get_array() for axes in bunch.show_augmentations(item=2, count=6).axes if axes.images]
    assert all((one.numpy() == other).all() for one, other in zip(pictures, again, strict=True))


def test_pictures_leave_the_random_state_alone(bunch: DataBunch) -> None:
    before = torch.get_rng_state()
    bunch.show_batch(2)
    bunch.explain()
    assert torch.equal(before, torch.get_rng_state())


def test_showing_only_bad_items_is_an_error(own: Path) -> None:
    bunch = split_of(own).databunch(3, cache=None)
    (own / "cats" / "0.jpg").unlink()
    with pytest.raises(DataError, match=r"No such file: .*cats/0.jpg"):
        bunch.show_augmentations(0)


def test_a_fraction_of_one_class_warns_once_and_trains_on(own: Path) -> None:
    draw(own / "fox" / "0.jpg", (0, 90, 0))
    with pytest.warns(UserWarning, match="Classes with a single item: fox"):
        labelled = split_of(own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert labelled.databunch(2).classes == ("cats", "dogs", "fox")
