"""Points follow their image through reading, augmentation and resizing, and come back in pixels of the original."""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import onecycle as oc
from onecycle.data.bunch import DataBunch
from onecycle.errors import DataError, ModelError
from onecycle.train.events import BatchEnd
from onecycle.train.groups import first_tuned, layer_groups, usual_rates
from onecycle.vision import augment as augments
from onecycle.vision.augment import Augment, Dihedral, HorizontalFlip, Rotate, Shift, VerticalFlip, Warp, Zoom
from onecycle.vision.decode import frame_of
from onecycle.vision.heatmaps import CentreOfMass, HeatmapModel
from onecycle.vision.model import ImageModel
from onecycle.vision.points import Points, points_target

TINY = "test_efficientnet"
CHANGES = {
    "nothing": Augment(), "flip": Augment((HorizontalFlip(1.0),)), "upside down": Augment((VerticalFlip(1.0),)),
    "dihedral": Augment((Dihedral(),)), "rotate": Augment((Rotate(25, 1.0),)), "zoom": Augment((Zoom(1.3, 0.9, 1.0),)),
    "shift": Augment((Shift(0.1, 1.0),)), "warp": Augment((Warp(0.2, 1.0),)),
    "photographs": augments.default(),
}  # fmt: skip


def dotted(path: Path, size: tuple[int, int], dots: dict[tuple[int, int, int], tuple[int, int]]) -> Path:
    """A dark image with a disc of 3 pixels radius in each colour at (x, y)."""
    pixels = np.zeros((*size, 3), np.uint8)
    y, x = np.mgrid[: size[0], : size[1]]
    for colour, (middle_x, middle_y) in dots.items():
        pixels[(x - middle_x) ** 2 + (y - middle_y) ** 2 <= 9.5] = colour
    Image.fromarray(pixels).save(path)
    return path


def found(image: Tensor, channel: int) -> tuple[float, float]:
    """Centre of mass of what is bright in a channel of (3, height, width), in pixels."""
    bright = image[channel].float().clamp(min=60) - 60
    y, x = torch.meshgrid(*(torch.arange(length) for length in bright.shape), indexing="ij")
    return float((bright * x).sum() / bright.sum()), float((bright * y).sum() / bright.sum())


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("resize", ["crop", "squish", "pad"])
def test_the_label_is_where_the_dot_is(change: str, resize: Any, tmp_path: Path) -> None:
    """Two dots are drawn; after all that happens to the image they are found where the labels say."""
    rng = np.random.default_rng(len(change) + len(resize))
    where: dict[str, list[tuple[int, int]]] = {}
    for number in range(4):
        height, width = int(rng.integers(70, 110)), int(rng.integers(70, 110))
        red, blue = ((int(rng.integers(25, width - 25)), int(rng.integers(25, height - 25))) for _ in range(2))
        name = str(dotted(tmp_path / f"{number}.png", (height, width), {(255, 0, 0): red, (0, 0, 255): blue}))
        where[name] = [red, blue]
    labelled = (
        oc.ImageList.from_folder(tmp_path).split_by_index([0]).label_points(lambda path: where[str(path)], names="ab")
    )
    # A mirrored image must not swap these two, which are no pair: one target without pairs, and mirroring on purpose.
    with pytest.warns(UserWarning, match="mirrored images") if CHANGES[change].mirrors else nullcontext():
        bunch = labelled.transform((64, 80), resize=resize, augment=CHANGES[change]).databunch(3, workers=0)
    for epoch in range(3):
        batch = bunch.prepared(bunch.train.dataset, [0, 1, 2], seed=epoch)
        assert batch.targets is not None
        for image, target in zip(batch.inputs, batch.targets, strict=True):
            for channel, point in ((0, target[0]), (2, target[1])):
                x, y = ((point + 1) / 2 * torch.tensor([80, 64]) - 0.5).tolist()
                if not (6 < x < 73 and 6 < y < 57):
                    continue  # cut off, or mirrored at the edge
                assert found(image, channel) == pytest.approx((x, y), abs=1.2)


few = settings(max_examples=60, deadline=None)
sides = st.integers(8, 300)


@few
@given(sides, sides, sides, sides, st.sampled_from(["crop", "squish", "pad"]), st.data())
def test_back_to_the_original_is_the_way_there_turned_round(
    height: int, width: int, to_height: int, to_width: int, resize: Any, data: st.DataObject
) -> None:
    x, y = data.draw(st.floats(-5, width + 5)), data.draw(st.floats(-5, height + 5))
    target, frame = Points(("a",)), frame_of((height, width), (to_height, to_width), resize)
    placed = target.place([[x, y]], frame, (to_height, to_width))
    np.testing.assert_allclose(target.decode(placed, torch.tensor(frame)), [[x, y]], atol=0.01)


def test_the_middle_of_the_first_pixel_is_nought() -> None:
    """Ten pixels a side: pixel 0 reaches from -1 to -0.8, so its middle is -0.9."""
    placed = Points(("a", "b")).place([[0, 0], [9, 4.5]], frame_of((10, 10), (10, 10), "squish"), (10, 10))
    torch.testing.assert_close(placed, torch.tensor([[-0.9, -0.9], [0.9, 0.0]]))


@pytest.mark.parametrize(
    ("change", "swapped"), [(HorizontalFlip(1.0), True), (VerticalFlip(1.0), True), (Rotate(20, 1.0), False)]
)
def test_mirrored_images_swap_pairs_and_only_pairs(change: Any, swapped: bool) -> None:
    target = points_target(["left", "right", "nose"], [("left", "right")])
    points = torch.tensor([[[-0.5, -0.2], [0.5, -0.2], [0.0, 0.3]]])
    matrices = Augment((change,)).geometry(1, torch.Generator().manual_seed(0))
    plain = Points(target.classes).follow(points, matrices, (10, 10))
    order = [1, 0, 2] if swapped else [0, 1, 2]
    torch.testing.assert_close(target.follow(points, matrices, (10, 10)), plain[:, order])
    if isinstance(change, HorizontalFlip):  # what is called left is on the left again
        torch.testing.assert_close(target.follow(points, matrices, (10, 10))[0, 0], torch.tensor([-0.5, -0.2]))


def test_missing_points_stay_missing_and_move_nothing() -> None:
    target = Points(("a", "b"))
    placed = target.place([[1.0, 2.0], [math.nan, math.nan]], frame_of((9, 9), (9, 9), "squish"), (9, 9))
    moved = target.follow(placed[None], Augment((Warp(0.2, 1.0),)).geometry(1, torch.Generator()), (9, 9))
    assert moved.isnan().tolist() == [[[False, False], [True, True]]]
    outputs = torch.zeros(1, 2, 2, requires_grad=True)
    target.loss()(outputs, moved).backward()
    assert outputs.grad is not None
    assert outputs.grad[0, 1].tolist() == [0, 0]
    assert outputs.grad[0, 0].abs().min() > 0


# --- labels ---


def csv_of(folder: Path, header: str, *rows: str) -> Path:
    for number in range(len(rows)):
        Image.new("RGB", (20, 10)).save(folder / f"{number}.png")
    path = folder / "points.csv"
    path.write_text("\n".join([header, *(f"{number}.png,{row}" for number, row in enumerate(rows))]) + "\n")
    return path


def listed(path: Path) -> Any:
    return oc.ImageList.from_csv(path, folder=path.parent).split_by_index([0])


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("file,nose_x,nose_y,chin_x,chin_y", ("nose", "chin")), ("file,x0,y0,x1,y1", ("0", "1")),
        ("file,0,1,2,3", ("0", "1")), ("file,Nose X,Nose Y,b,c", ("0", "1")),
    ],
)  # fmt: skip
def test_names_come_from_the_columns_where_they_say_so(header: str, names: tuple[str, ...], tmp_path: Path) -> None:
    labelled = listed(csv_of(tmp_path, header, "1,2,3,4", "1,2,3,4")).label_points("all")
    assert labelled.target.classes == names
    assert labelled.train.table["#label"].to_pylist() == [[[1, 2], [3, 4]]]


def test_empty_cells_are_missing_points_and_items_without_any_are_told(tmp_path: Path) -> None:
    split = listed(csv_of(tmp_path, "file,x0,y0,x1,y1", "1,2,,4", "1,2,nan,5", ",,,"))
    with pytest.warns(UserWarning, match=r"1 items have no point at all: .*2.png. They teach nothing."):
        labelled = split.label_points(["x0", "y0", "x1", "y1"])
    first, second = labelled.train.table["#label"].to_pylist()
    assert first[0] == [1, 2]
    assert np.isnan(first[1]).all()
    assert np.isnan(second).all()


def test_points_outside_their_image_are_kept_and_told_once(tmp_path: Path) -> None:
    split = listed(csv_of(tmp_path, "file,x,y", "19.4,9.4", "19.6,5", "-3,12"))
    with pytest.warns(UserWarning, match="outside") as told:
        labelled = split.label_points("all")
    assert [str(one.message).split(":")[0] for one in told] == ["2 points lie outside their image, in 2 items"]
    assert str(told[0].message).endswith("They are kept.")
    np.testing.assert_allclose(labelled.train.table["#label"].to_pylist(), [[[19.6, 5]], [[-3, 12]]], rtol=1e-6)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (["x"], r"1 columns of coordinates: x.\nExpected an even number, x and y of each point in turn.\nFix: pass"),
        (["x", "z"], r"There is no column 'z'.\nExpected one of: .*\nFix: check"),
        (["x", "word"], r"2 values of column 'word' are no numbers: 'a' \(1.png\).*\nExpected numbers, .*\nFix: mend"),
        (lambda path: 1 / 0, r"The point function failed on .*: ZeroDivisionError.*\nExpected a list .*\nFix: mend"),
        (lambda path: "here", r"The point function gave 'here' for .*\nExpected a list of \(x, y\).*\nFix: mend"),
        (lambda path: [(1, 2)] * (1 + (path.stem == "2")), r"2.png has 2 points, 1.png has 1.\nExpected the same"),
    ],
)  # fmt: skip
def test_labels_that_are_no_points_are_refused(source: Any, message: str, tmp_path: Path) -> None:
    split = listed(csv_of(tmp_path, "file,x,y,word", "1,2,3", "1,2,a", "1,2,b"))
    with pytest.raises(DataError, match=message):
        split.label_points(source)


def test_names_are_one_a_point(tmp_path: Path) -> None:
    split = listed(csv_of(tmp_path, "file,x,y", "1,2", "1,2"))
    assert split.label_points(lambda path: (3.0, 4.0), names=["nose"]).target.classes == ("nose",)
    with pytest.raises(DataError, match=r"names= has 2 different names, but there are 1 points.\nExpected a name of"):
        split.label_points("all", names=["nose", "chin"])


def test_an_error_of_ours_in_a_point_function_stays_as_it_is(tmp_path: Path) -> None:
    def own(path: Path) -> Any:
        raise DataError("Mine.", "it as it is.", "nothing.")

    with pytest.raises(DataError, match=r"^Mine\.\nExpected it as it is\."):
        listed(csv_of(tmp_path, "file,x,y", "1,2", "1,2")).label_points(own)


def test_pairs_and_names_that_are_not_there_are_refused() -> None:
    with pytest.raises(DataError, match=r"flip_pairs= names lft.\nExpected one of the points: left, right.\nFix.*left"):
        points_target(["left", "right"], [("lft", "right")])
    with pytest.raises(DataError, match=r"flip_pairs= names left twice.\nExpected each point once"):
        points_target(["left", "right"], [("left", "right"), ("left", "left")])


def test_images_are_mirrored_by_themselves_only_where_labels_stay_right(tmp_path: Path) -> None:
    split = listed(csv_of(tmp_path, "file,a_x,a_y,b_x,b_y", "1,2,3,4", "1,2,3,4"))
    assert not split.label_points("all").transform(8).modality.augment.mirrors
    assert split.label_points("all", flip_pairs=[("a", "b")]).transform(8).modality.augment.mirrors
    assert split.label_points(["a_x", "a_y"]).transform(8).modality.augment.mirrors
    with pytest.warns(UserWarning, match="mirrored images swap left and right points, and flip_pairs= does not say"):
        split.label_points("all").transform(8, augment=oc.augment.default())


# --- models ---


def test_the_centre_of_a_single_peak_is_its_pixel() -> None:
    maps = torch.full((1, 1, 6, 8), -1e4)
    maps[0, 0, 2, 5] = 0
    torch.testing.assert_close(CentreOfMass()(maps)[0, 0], torch.tensor([(5 * 2 + 1) / 8 - 1, (2 * 2 + 1) / 6 - 1]))
    assert CentreOfMass()(maps.bfloat16()).dtype == torch.float32


def discs(folder: Path, count: int = 24) -> DataBunch:
    """Images of differing sizes with one red disc."""
    rng = np.random.default_rng(0)
    where = {}
    for number in range(count):
        size = (48, 64) if number % 2 else (60, 60)
        middle = (int(rng.integers(8, size[1] - 8)), int(rng.integers(8, size[0] - 8)))
        where[str(dotted(folder / f"{number:02}.png", size, {(255, 40, 40): middle}))] = middle
    split = oc.ImageList.from_folder(folder).split_by_index(range(6))
    labelled = split.label_points(lambda path: where[str(path)])
    return labelled.transform((48, 48), augment=oc.augment.none()).databunch(6, workers=0)


def tiny(bunch: DataBunch, **options: Any) -> Any:
    return oc.vision_learner(bunch, TINY, **{"pretrained": False, "progress": False, **options})


def test_points_are_learnt_kept_and_answered_in_pixels_of_the_original(tmp_path: Path) -> None:
    bunch = discs(tmp_path)
    learner = tiny(bunch)
    assert isinstance(learner.model, HeatmapModel)
    before = learner.validate()["pixel_error"]
    learner.fit_one_cycle(12, lr=3e-3)
    after = learner.validate()["pixel_error"]
    assert after < before / 2.5
    answers = learner.predict_all()
    truth = np.array(bunch.valid.dataset.labels())
    errors = np.linalg.norm(np.array(answers.table["prediction"].to_pylist()) - truth, axis=-1)
    assert errors.mean() == pytest.approx(after, rel=1e-4)
    assert answers.worst(1)["item"].to_pylist() == [answers.table["item"].to_pylist()[int(_losses(answers).argmax())]]
    learner.export(tmp_path / "discs.onecycle")
    item = str(tmp_path / bunch.valid.dataset.name(1))
    label, probabilities = oc.load_model(tmp_path / "discs.onecycle").predict(item)
    assert probabilities == {}
    np.testing.assert_allclose(label, answers.table["prediction"].to_pylist()[1], atol=0.02)
    answers.to_csv(tmp_path / "answers.csv")
    assert (tmp_path / "answers.csv").read_text().startswith("image_name,0_x,0_y\n00,")
    # The unit stays that of the original at another size.
    learner.data = bunch.resize((24, 24))
    assert learner.validate()["pixel_error"] < 30


def _losses(answers: Any) -> np.ndarray:
    return np.asarray(answers.table["loss"].to_numpy())


def test_pictures_draw_dots_where_the_labels_are(tmp_path: Path) -> None:
    bunch = discs(tmp_path, 10)
    figure = bunch.show_batch(2, part="valid")
    x, y = bunch.valid.dataset.labels()[0][0]  # of an image of 60 x 60, drawn at 48 x 48
    drawn = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(drawn, [[(x + 0.5) * 0.8 - 0.5, (y + 0.5) * 0.8 - 0.5]], atol=0.01)
    results = tiny(bunch).show_results(3)
    assert all(len(one.collections) == 2 for one in results.axes)  # label and answer
    assert "(1, 2)" in bunch.explain()


@pytest.mark.parametrize("loss", [oc.losses.MSE, oc.losses.L1, oc.losses.SmoothL1, oc.losses.Wing])
def test_every_loss_trains(loss: Any, tmp_path: Path) -> None:
    learner = tiny(discs(tmp_path, 10), loss=loss())
    learner.fit(1, lr=1e-3)
    assert math.isfinite(learner.history[-1].train_loss)


def test_sizes_grow_and_a_regression_head_is_there_by_name(tmp_path: Path) -> None:
    bunch = discs(tmp_path, 10)
    learner = tiny(bunch, head="regression", hidden=8)
    assert isinstance(learner.model, ImageModel)
    learner.fine_tune([1, 1], lr=1e-3, sizes=[(24, 24), (32, 40)])
    assert [record.inputs for record in learner.history][-1] == "32x40 pixels"
    with pytest.raises(ModelError, match=r"head='map' for points.\nExpected \"heatmap\" or .*\nFix: leave it out."):
        tiny(bunch, head="map")
    with pytest.raises(ModelError, match=r"'test_vit' has no feature maps of several sizes.\n.*\nFix: .*regression"):
        oc.vision_learner(bunch, "test_vit", pretrained=False)


class Sizes(oc.Callback):
    """Notes the size of the images in every step."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def on_batch_end(self, learner: oc.Learner, event: BatchEnd) -> None:
        self.seen.append(tuple(event.batch.inputs.shape[2:]))


def test_the_first_step_of_fine_tune_trains_on_smaller_images(tmp_path: Path) -> None:
    sizes = Sizes()
    learner = tiny(discs(tmp_path, 10).resize((96, 72)), callbacks=[sizes])
    whole = learner.data
    learner.fine_tune(1, lr=1e-3)
    assert sizes.seen == [(64, 48), (96, 72)]
    assert [record.inputs for record in learner.history] == ["96x72 pixels"] * 2  # where both were validated
    assert "epoch 1 trains on images of 64x48 pixels" in learner.history.notes
    assert learner.data is whole
    learner.fine_tune(1, lr=1e-3, frozen_epochs=0)
    assert sizes.seen[2:] == [(96, 72)]
    learner.fine_tune([1, 1], lr=1e-3, sizes=[64, 72])
    assert sizes.seen[3:] == [(64, 64), (72, 72)]


def test_one_sweep_serves_both_steps(tmp_path: Path) -> None:
    learner = tiny(discs(tmp_path, 10).resize(64))
    learner.fine_tune(1)
    assert len(learner.findings) == 1
    assert learner.history[0].lr == learner.history[1].lr == pytest.approx(learner.findings[0].lr)


def test_an_interrupted_first_step_leaves_the_size_as_it_was(tmp_path: Path) -> None:
    class Interrupt(oc.Callback):
        def on_batch_end(self, learner: oc.Learner, event: BatchEnd) -> None:
            raise KeyboardInterrupt

    learner = tiny(discs(tmp_path, 10).resize(64), callbacks=[Interrupt()])
    whole = learner.data
    with pytest.raises(KeyboardInterrupt):
        learner.fine_tune(1, lr=1e-3)
    assert learner.data is whole


def test_the_pretrained_default_learns_whole_and_at_a_known_rate(tmp_path: Path) -> None:
    bunch = discs(tmp_path, 10)
    maps = oc.vision_learner(bunch, progress=False).model
    assert (usual_rates(maps), first_tuned(maps)) == (4e-3, 0)
    numbers = oc.vision_learner(bunch, head="regression", progress=False).model
    assert (usual_rates(numbers), first_tuned(numbers)) == (None, 0)
    assert numbers.config["hidden"] == 512
    assert usual_rates(tiny(bunch).model) is None


def test_every_weight_is_in_one_group_and_a_copy_answers_alike(tmp_path: Path) -> None:
    learner = tiny(discs(tmp_path, 10))
    names = [name for group in layer_groups(learner.model) for name in group]
    assert sorted(names) == sorted(name for name, _ in learner.model.named_parameters())
    copy = HeatmapModel.from_config(learner.model.to_config())
    copy.load_state_dict(learner.model.state_dict())
    images = torch.rand(2, 3, 37, 45) * 255
    torch.testing.assert_close(copy.eval()(images), learner.model.eval()(images))
