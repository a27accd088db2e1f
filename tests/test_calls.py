"""Plausible mistakes end in three lines instead of Python's own error, and what the third line says works."""

# ruff: noqa: E501  a mistake is a line

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from torch import nn
from torchvision import models
from torchvision import transforms as T

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from onecycle.calls import ExplainingMeta, explained, explains_calls
from onecycle.errors import CallError, MissingAttributeError, OnecycleError
from onecycle.foreign_names import FUNCTIONS, METHODS


@pytest.fixture(scope="module")
def names(photos: Path, tagged: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the mistakes and the fixes below are made of."""
    images = oc.ImageList.from_folder(photos)
    split = images.split_random(0.2, seed=1, stratify="folder")
    bunch = photo_bunch(photos)
    learner = tiny(bunch)
    table = oc.ImageList.from_csv(tagged / "labels.csv", folder=tagged / "images", suffix=".png")
    texts = oc.TextList.from_texts(["a good film", "a bad film"] * 6, ["pos", "neg"] * 6).split_random(0.2)
    return {
        "oc": oc, "T": T, "models": models, "nn": nn, "Path": Path, "OneCycle": oc.OneCycle,
        "Rotate": oc.augment.Rotate, "HorizontalFlip": oc.augment.HorizontalFlip,
        "photos": str(photos), "tagged": str(tagged), "folder": tmp_path_factory.mktemp("written"),
        "images": images, "split": split, "labelled": split.label_from_folder(), "bunch": bunch,
        "learner": learner, "found": learner.lr_find(steps=8, sweeps=1),
        "table": table, "tags": table.split_random(0.2), "tag_learner": tiny(tag_bunch(tagged)),
        "texts": texts, "labelled_texts": texts.label_from_column("label"),
        "ask": lambda **options: oc.vision_learner(
            bunch, **{"backbone": "test_efficientnet", "pretrained": False, "progress": False, **options}
        ),
    }  # fmt: skip


# The mistake; what the message must say; what to write instead, as the third line says.
MISTAKES = [
    # Options of other libraries
    ("labelled.databunch(bs=4)", "use batch_size= instead of bs=", "labelled.databunch(batch_size=4)"),
    ("labelled.databunch(4, num_workers=0)", "use workers= instead", "labelled.databunch(4, workers=0)"),
    ("learner.fit_one_cycle(1, 1e-3, wd=0.1)", r"pass weight_decay= to Learner\(\)", "ask(weight_decay=0.1)"),
    ("learner.fit_one_cycle(1, 1e-3, callbacks=[])", r"pass callbacks= to Learner\(\)", "ask(callbacks=[])"),
    (
        "learner.fit_one_cycle(1, 1e-3, pct_start=0.3)", r"use schedule=OneCycle\(warmup=0.3\)",
        "learner.fit_one_cycle(1, 1e-3, schedule=OneCycle(warmup=0.3))",
    ),
    (
        "learner.fit_one_cycle(1, 1e-3, moms=(0.95, 0.85))",
        r"use schedule=OneCycle\(momentum_high=0.95, momentum_low=0.85\)",
        "learner.fit_one_cycle(1, 1e-3, schedule=OneCycle(momentum_high=0.95, momentum_low=0.85))",
    ),
    ("learner.fit_one_cycle(1, max_lr=1e-3)", "use lr= instead of max_lr=", "learner.fit_one_cycle(1, lr=1e-3)"),
    ("learner.fine_tune(1, base_lr=1e-3)", "use lr= instead", "learner.fine_tune(1, lr=1e-3, frozen_epochs=0)"),
    ("learner.lr_find(start_lr=1e-5)", "use start= instead", "learner.lr_find(start=1e-5, steps=8, sweeps=1)"),
    ("ask(drop_mult=0.3)", "use dropout= instead of drop_mult=", "ask(dropout=0.3)"),
    ("ask(opt_func=nn)", "use optimizer= instead", "ask(optimizer=__import__('torch').optim.SGD)"),
    ("bunch.show_batch(rows=3)", "use count= instead of rows=", "bunch.show_batch(count=3)"),
    ("bunch.show_batch(3, figsize=(6, 6))", r"\.set_size_inches", "bunch.show_batch(3).set_size_inches(6, 6)"),
    ("learner.show_results(max_n=3)", "use count= instead of max_n=", "learner.show_results(count=3)"),
    ("images.split_random(valid_pct=0.2)", "use valid= instead", "images.split_random(valid=0.2)"),
    ("labelled.transform(tfms=None, size=32)", "augment=oc.augment", "labelled.transform(32, augment=oc.augment.default())"),
    ("oc.ImageList.from_folder(photos, recurse=True)", "remove recurse=", "oc.ImageList.from_folder(photos)"),
    ("tags.label_from_column('tags', label_delim=' ')", "use delimiter=", "tags.label_from_column('tags', delimiter=' ')"),
    ("oc.metrics.fbeta(2, thresh=0.2)", "use threshold= instead", "oc.metrics.fbeta(2, threshold=0.2)"),
    ("oc.augment.default(max_zoom=1.2)", "use zoom= instead", "oc.augment.default(zoom=1.2)"),
    ("labelled_texts.tokenize(max_len=32)", "use max_length= instead", "labelled_texts.tokenize(max_length=32)"),
    ("oc.text_learner(labelled_texts.databunch(2), drop_mult=0.3)", "use dropout= instead",
     "oc.text_learner(labelled_texts.databunch(2), dropout=0.3)"),
    ("images.split_random(vaild=0.2)", r"did you mean valid=\?", "images.split_random(valid=0.2)"),
    # Models and losses
    ("ask(backbone=models.resnet18)", r'the function resnet18\.[\s\S]*pass "resnet18"', 'ask(backbone="resnet18")'),
    ("ask(loss='cross_entropy')", r"loss=torch\.nn\.functional\.cross_entropy", "ask(loss=nn.functional.cross_entropy)"),
    ("ask(loss=nn.CrossEntropyLoss)", r"write CrossEntropyLoss\(\)", "ask(loss=nn.CrossEntropyLoss())"),
    ("ask(seed='a')", r"seed='a', of type str\.\nExpected a whole number or None", "ask(seed=1)"),
    # Augmentations of torchvision
    ("labelled.transform(32, augment=[T.RandomHorizontalFlip()])", r"use HorizontalFlip\(\)",
     "labelled.transform(32, augment=[HorizontalFlip()])"),
    ("labelled.transform(32, augment=T.Compose([T.RandomRotation(9)]))", r"use a list, such as",
     "labelled.transform(32, augment=[HorizontalFlip(), Rotate(20)])"),
    ("labelled.transform(32, augment=[T.ToTensor()])", "nothing in its place", "labelled.transform(32, augment=[])"),
    ("labelled.transform(32, augment=oc.augment.satellite)", r"call the preset: augment\.satellite\(\)",
     "labelled.transform(32, augment=oc.augment.satellite())"),
    # Values of another type
    ("learner.fine_tune(1, sizes=48)", r"pass sizes=\[48\]", "learner.fine_tune(1, 1e-3, sizes=[48], frozen_epochs=0)"),
    ("learner.fine_tune(1, frozen_epochs='1')", "pass frozen_epochs=1", "learner.fine_tune(0, 1e-3, frozen_epochs=1)"),
    ("learner.fit_one_cycle(1, [1e-4, 1e-3])", r"pass lr=slice\(0.0001, 0.001\)",
     "learner.fit_one_cycle(1, slice(0.0001, 0.001))"),
    ("learner.fit_one_cycle(1, '1e-3')", r"pass lr=0\.001", "learner.fit_one_cycle(1, 0.001)"),
    ("images.split_random('0.2')", "pass valid=0.2, without quotes", "images.split_random(0.2)"),
    ("bunch.show_batch('3')", "pass count=3, without quotes", "bunch.show_batch(3)"),
    ("bunch.show_batch(0)", "pass count=12", "bunch.show_batch(12)"),
    ("learner.show_results(0)", "pass count=12", "learner.show_results(12)"),
    ("oc.ImageList.from_csv(tagged + '/labels.csv', column=1)", "pass a string as column=, or leave column= out",
     "oc.ImageList.from_csv(tagged + '/labels.csv', folder=tagged + '/images', suffix='.png')"),
    ("tags.label_from_column(1)", r"column=1, of type int\.\nExpected a string", "tags.label_from_column('tags', delimiter=' ')"),
    ("tags.label_numbers(1)", "a string, a list of strings or a function", "tags.label_numbers(lambda p: len(p.stem) + hash(p) % 7)"),
    ("split.label_with(lambda rows: [0.5] * len(rows))", r"return str\(\.\.\.\) for classes; for numbers to predict, use label_numbers",
     "split.label_with(lambda rows: [str(n % 2) for n in range(len(rows))])"),
    ("split.label_with('a')", "pass a function as labeller=", "split.label_with(lambda rows: ['a', 'b'] * (len(rows) // 2))"),
    ("split.label_from_regex(3)", "pass a string as pattern=", r"split.label_from_regex(r'(\w+)_\d+')"),
    ("oc.ImageList.from_folder(None)", "Expected a string or a path", "oc.ImageList.from_folder(photos)"),
    ("oc.ImageList.from_folder([photos])", "Expected a string or a path", "oc.ImageList.from_folder(photos)"),
    ("labelled.add_test(photos)", r"ImageList\.from_folder\(folder\)", "labelled.add_test(oc.ImageList.from_folder(photos))"),
    ("labelled.add_test(images.paths[:2])", r"ImageList\.from_paths\(\[path, \.\.\.\]\)",
     "labelled.add_test(oc.ImageList.from_paths(images.paths[:2]))"),
    ("learner.validate(bunch.valid)", "pass a string as split=, or leave split= out", "learner.validate()"),
    ("learner.predict([images[0]])", r"call predict_many\(\[\.\.\.\]\)", "learner.predict_many([images[0]])"),
    ("learner.predict(__import__('torch').zeros(3, 32, 32))", r"\(tensor \* 255\)\.byte\(\)\.permute\(1, 2, 0\)\.numpy\(\)",
     "learner.predict((__import__('torch').zeros(3, 32, 32) * 255).byte().permute(1, 2, 0).numpy())"),
    ("learner.freeze_to('head')", "pass a whole number as group=", "learner.freeze_to(-1)"),
    ("labelled_texts.tokenize(max_length='32')", "pass max_length=32, without quotes", "labelled_texts.tokenize(max_length=32)"),
    ("oc.load_model(None)", "Expected the path of a model", "oc.load_model(learner.export(folder / 'm.onecycle'))"),
    # Arguments that are missing, or too many
    ("learner.export()", r"Expected export\(path\)\.\nFix: pass path=", "learner.export(folder / 'n.onecycle')"),
    ("oc.vision_learner()", r"got no bunch=\.\nExpected vision_learner\(bunch, \.\.\.\)", "oc.vision_learner(bunch, pretrained=False)"),
    ("images.split_by_index()", "pass valid=", "images.split_by_index(valid=[0])"),
    ("images.split_random(0.2, 42)", "pass the others by name: seed=, stratify=", "images.split_random(0.2, seed=42)"),
    ("learner.to_fp16(True)", "pass the others by name: force=", "learner.to_fp32()"),
    ("oc.ImageList.from_csv(tagged, 'labels.csv')", r"whole path: from_csv\('.*/labels\.csv'\)",
     "oc.ImageList.from_csv(f'{tagged}/labels.csv', folder=tagged + '/images', suffix='.png')"),
    ("learner.freeze_to(0, group=0)", r"group= twice[\s\S]*remove one", "learner.freeze_to(0)"),
    # A stage too early, too late, or twice
    ("images.label_from_folder()", r"call split_random\(\) before label_from_folder\(\)", "images.split_random().label_from_folder()"),
    ("images.transform(32)", r"call split_random\(\), then label_from_folder\(\) before transform\(\)",
     "images.split_random().label_from_folder().transform(32)"),
    ("split.databunch()", r"call label_from_folder\(\) before databunch\(\)", "split.label_from_folder().databunch(4)"),
    ("labelled.fit_one_cycle(1)", r"call databunch\(\), then vision_learner\(bunch\) before fit_one_cycle",
     "oc.vision_learner(labelled.transform(32).databunch(8), 'test_efficientnet', pretrained=False)"),
    ("bunch.transform(32)", r"call transform\(\) before databunch\(\)", "labelled.transform(32).databunch(8)"),
    ("labelled.label_from_folder()", r"remove label_from_folder\(\): such a call was made already", "labelled"),
    ("labelled_texts.transform(32)", r"call tokenize\(\) for texts", "labelled_texts.tokenize()"),
    ("labelled.tokenize()", r"call transform\(\) for images", "labelled.transform()"),
    ("oc.vision_learner(labelled)", r"a LabelledImages as its data[\s\S]*call databunch\(\) on it",
     "oc.vision_learner(labelled.databunch(), pretrained=False)"),
    ("oc.vision_learner(images)", r"call split_random\(\), then label_from_folder\(\), then databunch\(\) on it",
     "oc.vision_learner(images.split_random().label_from_folder().databunch(), pretrained=False)"),
    ("oc.vision_learner(photos)", r"ImageList\.from_folder\('.*'\)\.split_random\(\)\.label_from_folder\(\)\.transform\(224\)",
     "oc.vision_learner(oc.ImageList.from_folder(photos).split_random().label_from_folder().transform(224).databunch(), pretrained=False)"),
    # Names of fastai
    ("images.split_by_rand_pct(0.2)", r"use split_random\(valid=0.2\)", "images.split_random(valid=0.2)"),
    ("split.label_from_func(str)", r"use label_from_function\(function\)", "split.label_from_function(lambda p: p.parent.name)"),
    ("oc.ImageList.from_df(None)", r"use from_table\(frame\)",
     "oc.ImageList.from_table(table.items.table.select(['image_name']).to_pandas(), folder=tagged + '/images', suffix='.png')"),
    ("bunch.normalize()", "remove normalize: the model normalises", "bunch"),
    ("bunch.one_batch()", r"use next\(iter\(bunch\.train\)\)", "next(iter(bunch.train))"),
    ("learner.get_preds()", r'use predict_all\("valid"\)', 'learner.predict_all("valid")'),
    ("learner.dls", r"use learner\.data", "learner.data"),
    ("oc.cnn_learner(bunch)", 'use oc.vision_learner', "oc.vision_learner(bunch, 'resnet34', pretrained=False)"),
    ("oc.load_learner('x')", r"use oc\.load_model\(path\)", "oc.load_model(learner.export(folder / 'o.onecycle'))"),
    ("learner.fit_one_cicle(1)", r"Did you mean 'fit_one_cycle'\?", "learner.fit_one_cycle(1, 1e-3)"),
    ("oc.vision_lerner(bunch)", r"Did you mean 'vision_learner'\?", "oc.vision_learner(bunch, pretrained=False)"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "said", "fixed"), MISTAKES, ids=[mistake for mistake, _, _ in MISTAKES])
def test_a_mistake_is_told_in_three_lines_and_the_fix_works(
    mistake: str, said: str, fixed: str, names: dict[str, Any]
) -> None:
    with pytest.raises(OnecycleError) as caught:
        eval(mistake, names)
    lines = str(caught.value).split("\n")
    assert re.search(said, str(caught.value))
    assert len(lines) == 3
    assert lines[1].startswith("Expected ")
    assert lines[2].startswith("Fix: ")
    eval(fixed, names)


@pytest.mark.parametrize(
    "accepted",
    [
        "learner.fit_one_cycle(1, lr=found)",
        "learner.fine_tune(1, found, frozen_epochs=0)",
        "ask(loss=nn.functional.cross_entropy)",
        "labelled.transform(32, augment='satellite')",
        "labelled.transform([32, 48])",
        "learner.predict_many(images[:2])",
        "tags.label_numbers(lambda path: [len(path.stem), hash(path) % 11], names=['length', 'hash'])",
        "oc.ImageList.from_folder(Path(photos))",
        "oc.ImageList.from_table(table.items.table.select(['image_name']).to_pandas(), folder=tagged + '/images', "
        "suffix='.png')",
    ],
)
def test_what_people_write_and_is_clear_is_accepted(accepted: str, names: dict[str, Any]) -> None:
    eval(accepted, names)


class Names(metaclass=ExplainingMeta):
    """Has one public name that is broken."""

    @property
    def broken(self) -> int:
        raise AttributeError("inside")


class TestExplained:
    def test_nothing_is_checked_while_a_call_works(self) -> None:
        @explained
        def add(first: int, second: int) -> Any:
            return [first, second]

        assert add("a", second=None) == ["a", None]  # type: ignore[arg-type]

    def test_an_error_with_the_right_arguments_is_pythons_own(self) -> None:
        @explained
        def fail(value: int) -> None:
            raise TypeError("inside")

        with pytest.raises(TypeError, match=r"^inside$"):
            fail(1)

    def test_the_call_that_was_written_is_named_and_not_one_inside_it(self) -> None:
        @explained
        def inner(column: str) -> int:
            return len(column)

        @explained
        def outer(column: str) -> int:
            return inner(column)

        with pytest.raises(CallError, match=r"^outer\(\) got column=3"):
            outer(3)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("hint", "right", "wrong", "words"),
        [
            (int, 3, "3", "a whole number"),
            (float, 3, "x", "a number"),
            (str | None, None, 3, "a string or None"),
            (Path, Path("x"), 3, "a path"),
            (bool, True, "x", "True or False"),
            (Literal["a", "b"], "a", "c", "'a' or 'b'"),
            (Sequence[str], ["a"], [1], "a list of strings"),
            (Sequence[int], (1, 2), 1, "a list of whole numbers"),
            (list[Any], [1], 2, "a list"),
            (tuple[int, int], (1, 2), (1, 2, 3), "(a whole number, a whole number)"),
            (Callable[[int], int], len, 3, "a function"),
            (Names, Names(), 3, "a Names"),
            ("NoSuchName", 3, None, None),
        ],
    )
    def test_types_are_named_in_words(self, hint: Any, right: Any, wrong: Any, words: str | None) -> None:
        def fail(value: Any) -> None:
            raise ValueError("inside")

        fail.__annotations__["value"] = hint
        with pytest.raises(ValueError, match=r"^inside$"):
            explained(fail)(right)
        with pytest.raises(ValueError, match=re.escape(f"Expected {words}.") if words else r"^inside$"):
            explained(fail)(wrong)

    def test_a_function_without_options_says_so(self) -> None:
        @explained
        def bare() -> None: ...

        with pytest.raises(CallError, match=r"has no option x=\.\nExpected none\.\nFix: remove x=\."):
            bare(x=1)  # type: ignore[call-arg]
        with pytest.raises(CallError, match=r"Expected at most 0\.\nFix: remove the rest\."):
            bare(1)  # type: ignore[call-arg]

    def test_signatures_stay(self) -> None:
        parameters = inspect.signature(oc.ImageList.split_random).parameters
        assert list(parameters) == ["self", "valid", "seed", "stratify", "level"]
        assert "weight_decay" in inspect.signature(oc.vision_learner).parameters


class TestMissingNames:
    def test_editors_and_hasattr_are_answered_as_by_python(self, names: dict[str, Any]) -> None:
        assert not hasattr(names["images"], "no_such_name")
        assert not hasattr(oc, "no_such_name")
        assert not hasattr(oc.ImageList, "_repr_latex_")
        with pytest.raises(AttributeError, match="'ImageList' object has no attribute '_x'"):
            names["images"]._x  # noqa: B018

    def test_a_broken_property_says_what_broke(self) -> None:
        with pytest.raises(AttributeError, match=r"^inside$"):
            explains_calls(Names)().broken  # noqa: B018

    def test_no_name_of_another_library_is_one_of_ours(self) -> None:
        assert not FUNCTIONS.keys() & set(oc.__all__)
        ours = {name for cls in (oc.ImageList, oc.TextList, oc.DataBunch, oc.Learner) for name in dir(cls)}
        assert not METHODS.keys() & ours

    def test_an_object_that_is_no_stage_lists_its_names(self) -> None:
        with pytest.raises(MissingAttributeError, match=r"Expected one of: .*to_csv[\s\S]*Did you mean 'to_csv'"):
            oc.Predictions(None, None).to_cvs  # type: ignore  # noqa: B018
