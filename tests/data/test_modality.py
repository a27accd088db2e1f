"""A new kind of input and a new kind of answer are one class each; nothing else learns of them."""

import subprocess
import sys
import textwrap

import torch

from onecycle.data.modality import Batch, Modality
from onecycle.data.target import Category
from onecycle.vision.images import Images

# Words as inputs, their length as what to predict: no image anywhere.
TOY = textwrap.dedent(
    '''
    import sys
    from dataclasses import dataclass, replace
    from typing import Any, ClassVar

    import numpy as np
    import pyarrow as pa
    import torch

    from onecycle.data.items import ITEM, ItemList, Part
    from onecycle.data.label import LabelledList, SplitList
    from onecycle.data.modality import Description, Modality, Sample
    from onecycle.data.target import Target
    from onecycle.errors import DataError


    @dataclass(frozen=True)
    class Words:
        """A word is a row of letters' numbers."""

        length: int = 8

        def sample(self, item, label, target, index, *, training):
            if not item.isalpha():
                raise DataError(f"{item!r} is no word.", "letters.", "leave it out.")
            codes = np.frombuffer(item.ljust(self.length)[: self.length].encode(), np.uint8).copy()
            return Sample(codes, None if label is None else target.encode(label), index)

        def encode(self, label, target, frame, *, training):
            return target.encode(label)

        def stack(self, inputs):
            return torch.from_numpy(np.stack(inputs))

        def prepare(self, batch, target, generator):
            return replace(batch, inputs=batch.inputs.float())

        def item_shape(self, *, training):
            return (self.length,)

        def lengths(self, part):
            return None

        def resize(self, size):
            return replace(self, length=size)

        def show(self, axes, input):
            axes.text(0.5, 0.5, bytes(input.byte().tolist()).decode())

        def describe(self):
            return Description("letters to numbers", "nothing", f"{self.length} letters")

        def steps(self, item, input):
            return [f"{item!r} has {len(item)} letters"]

        def to_config(self):
            return {"kind": "words", "length": self.length}


    @dataclass(frozen=True)
    class Length:
        """One whole number."""

        kind: ClassVar[str] = "length"
        default_metrics: ClassVar[tuple[str, ...]] = ()
        mixable: ClassVar[bool] = False
        side_by_side: ClassVar[bool] = False
        classes: tuple[str, ...] = ()
        outputs: int = 1
        label_type: pa.DataType = pa.int64()
        summary: str = "Length"

        def encode(self, label):
            return torch.tensor([float(label)])

        def activate(self, outputs):
            return outputs

        def decode(self, answer, frame=None):
            return round(answer.item())

        def measured(self, answers, targets, frames):
            return answers, targets

        def soften(self, targets):
            return targets

        def loss(self, *, smoothing=0.0):
            return torch.nn.MSELoss()

        def item_weights(self, labels):
            return np.ones(len(labels))

        def weighted(self, labels):
            return self

        def scores(self, answer):
            return {}

        def columns(self, answers, decoded):
            return {"prediction": decoded}

        def cells(self, label):
            return {"length": label}

        def caption(self, label):
            return str(label)

        def show(self, axes, truth, answer):
            axes.set_title(f"{truth} {answer}")

        def legend(self, figure):
            pass

        def to_config(self):
            return {"kind": self.kind}


    class LabelledWords(LabelledList):
        pass


    class SplitWords(SplitList[LabelledWords]):
        def _labelled(self, train, valid, test, target, labeller):
            return LabelledWords(train, valid, test, target, self.modality, labeller)

        def label_with_length(self):
            def lengths(part):
                return [len(name) for name in part.names()]

            sides = [part.with_labels(pa.array(lengths(part))) for part in (self.train, self.valid)]
            return self._labelled(*sides, self.test, Length(), lengths)


    class WordList(ItemList[SplitWords]):
        def _split(self, train, valid, test):
            return SplitWords(train, valid, test, self.modality)


    assert isinstance(Words(), Modality) and isinstance(Length(), Target)
    words = ["a", "be", "sea", "deer", "eagle", "falcon", "gorilla", "hedgehog", "ibis", "jay"]
    items = WordList(Part(pa.table({ITEM: words, "kind": list("xyxyxyxyxy")})), Words())
    split = items.split_random(0.2, seed=1)

    bunch = split.label_with_length().databunch(4, workers=0)
    batches = list(bunch.train.epoch(0))
    assert [len(batch) for batch in batches] == [4, 4]
    for batch in batches:
        assert batch.inputs.shape == (4, 8)
        assert batch.targets[:, 0].tolist() == (batch.inputs != ord(" ")).sum(1).tolist()
    assert bunch.resize(3).train.cache.shape == (3,)
    assert len(bunch.show_batch(3).axes) == 3
    text = bunch.explain()
    assert "letters to numbers" in text and f"{bunch.train.dataset.name(0)!r} has" in text
    assert "8 letters" in repr(bunch)
    assert bunch.check().broken == ()

    by_kind = split.label_from_column("kind").databunch(4, workers=0, cache=None)
    assert by_kind.classes == ("x", "y")
    assert sum(len(batch) for batch in by_kind.train.epoch(0)) == 8

    loaded = [name for name in sys.modules if name.startswith(("onecycle.vision", "timm", "PIL.JpegImage"))]
    assert loaded == [], loaded
    '''
)


def test_a_toy_modality_and_target_need_nothing_of_vision() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", TOY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_images_are_a_modality() -> None:
    assert isinstance(Images(), Modality)


def test_a_batch_moves_to_a_device_with_or_without_targets() -> None:
    batch = Batch(torch.zeros(2, 3), Category(("a", "b")).encode("b")[None].repeat(2), torch.arange(2))
    moved = batch.to(torch.device("meta"))
    assert (moved.inputs.device.type, moved.targets.device.type, len(moved)) == ("meta", "meta", 2)
    assert Batch(torch.zeros(2, 3), None, torch.arange(2)).to(torch.device("meta")).targets is None
