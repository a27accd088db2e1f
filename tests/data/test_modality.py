"""What a modality of the user's own has without a line: every default of the base class, and batches of samples."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

import toy_parts
from onecycle.data.batch import BadItem, Reading, Sample
from onecycle.data.categories import Category
from onecycle.data.modality import Modality, collate
from onecycle.data.rows import ITEM, Rows
from onecycle.errors import DataError
from onecycle.figure import grid
from onecycle.vision.images import Images
from toy_parts import Boxes

TARGET = Category(("a", "b"))


@dataclass(frozen=True)
class Lines(Modality):
    """The smallest modality there is: the length of each line."""

    ending: str = "\n"
    kind = "toy_lines"

    def read(self, item: Any, *, training: bool) -> Reading:
        if not item:
            raise DataError("empty", "a line.", "leave it out.")
        return Reading(torch.tensor([float(len(line)) for line in item.split(self.ending)]))


def test_a_modality_needs_no_more_than_a_kind_and_read() -> None:
    with pytest.raises(TypeError, match="abstract"):
        type("Empty", (Modality,), {"kind": "empty"})()
    lines = Lines()
    rows = Rows(pa.table({ITEM: ["a"]}))
    assert lines.item_shape(training=True) is lines.lengths(rows) is lines.smaller() is None
    assert not lines.reads_text_directly
    assert lines.describe() == ("read as toy_lines", "no augmentation", "toy_lines")
    assert lines.steps("a\nbc", None) == ()


def test_a_sample_is_what_was_read_and_the_encoded_label() -> None:
    sample = Lines().sample("a\nbcd", "b", TARGET, 7, training=True)
    assert (sample.input.tolist(), sample.target.item(), sample.index, sample.geometry) == ([1.0, 3.0], 1, 7, None)
    assert Lines().sample("a", None, TARGET, 0, training=False).target is None


def test_inputs_are_stacked_and_prepared_as_they_were_read() -> None:
    lines = Lines()
    batch = collate([lines.sample("a\nbc", "a", TARGET, number, training=True) for number in range(2)], lines, TARGET)
    assert (batch.inputs.tolist(), batch.targets.tolist(), batch.index.tolist()) == ([[1.0, 2.0]] * 2, [0, 0], [0, 1])
    assert lines.prepare(batch, TARGET, None) is batch


def test_a_batch_lists_what_could_not_be_read_apart() -> None:
    bad = BadItem(1, DataError("what", "expected", "fix"))
    good = Sample(torch.zeros(2), torch.tensor(1), 0, torch.arange(3.0))
    batch = collate([good, bad], Lines(), TARGET)
    assert (batch.index.tolist(), batch.bad, batch.geometries.tolist()) == ([0], [bad], [[0.0, 1.0, 2.0]])
    assert (len(collate([bad], Lines(), TARGET)), collate([bad], Lines(), TARGET).targets) == (0, None)


def test_a_batch_of_ragged_labels_is_a_list() -> None:
    samples = [Sample(torch.zeros(2), torch.zeros(number, 4), number) for number in range(3)]
    assert [len(boxes) for boxes in collate(samples, Lines(), Boxes()).targets] == [0, 1, 2]


def test_inputs_without_a_size_cannot_be_resized() -> None:
    with pytest.raises(DataError) as error:
        Lines().resize(3)
    assert str(error.value) == (
        "Lines inputs have no size.\nExpected a modality with resize().\nFix: leave sizes= out."
    )


def test_a_dataclass_comes_back_from_its_config() -> None:
    config = json.loads(json.dumps(Lines("|").to_config()))
    assert config == {"kind": "toy_lines", "ending": "|"}
    assert Lines.from_config(config) == Lines("|")


def test_the_items_of_a_folder_are_its_files(tmp_path: Path) -> None:
    toy_parts.write_series(tmp_path / "b", 2)
    toy_parts.write_series(tmp_path / "a", 1)
    assert Lines().find_items(tmp_path) == ["a/000.json", "b/000.json", "b/001.json"]


def test_an_input_is_drawn_as_text() -> None:
    _, axes = grid(1, 1)
    one = next(axes)
    Lines().show(one, torch.tensor([1.0]))
    assert [text.get_text() for text in one.texts] == ["tensor([1.])"]


def test_images_are_a_modality() -> None:
    assert isinstance(Images(), Modality)


@pytest.mark.parametrize("name", ["label", "geometry"])
def test_a_batch_of_which_some_items_have_something_is_refused(name: str) -> None:
    fields = [(torch.tensor(1), None), (None, None)] if name == "label" else [(None, torch.zeros(3)), (None, None)]
    samples = [Sample(torch.zeros(2), label, number, geometry) for number, (label, geometry) in enumerate(fields)]
    with pytest.raises(DataError) as error:
        collate(samples, Lines(), TARGET)
    assert str(error.value) == (
        f"1 of 2 items in a batch have no {name}.\nExpected a {name} for all of them, or for none.\n"
        f"Fix: check the items without a {name}."
    )
