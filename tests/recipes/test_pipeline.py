from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import onecycle as oc
from onecycle.recipes.code import Given
from onecycle.recipes.pipeline import Call, Function, Pipeline, public_package


class Recorder:
    """Writes down the calls of its methods; each returns the recorder."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Recorder:
            self.calls.append((name, arguments, options))
            return self

        return call


def package(**names: Any) -> ModuleType:
    module = ModuleType("package")
    vars(module).update(names)
    return module


PIPELINE = Pipeline(
    items=Call("ImageList.from_folder", ('a "b"\\c',)),
    labelled=(Call("split_random", (), {"valid": 0.2}), Call("label_from_folder")),
    loaders=(Call("transform", (), {"size": (24, 32), "augment": Call("augment.none")}), Call("databunch")),
    learner=Call("vision_learner", ("resnet18",), {"metrics": ["f1"], "callbacks": [Call("KeepBest", ("f1",))]}),
    train=Call("fine_tune", ([1, 2],), {"lr": slice(1e-5, 1e-3)}),
    precision=Call("to_bf16"),
    finish=(Call("tune_threshold"),),
)


class TestCode:
    def test_it_reads_as_the_data_block(self) -> None:
        assert str(PIPELINE).splitlines() == [
            "bunch = (",
            '    oc.ImageList.from_folder("a \\"b\\"\\\\c")',
            "    .split_random(valid=0.2)",
            "    .label_from_folder()",
            "    .transform(size=(24, 32), augment=oc.augment.none())",
            "    .databunch()",
            ")",
            'learner = oc.vision_learner(bunch, "resnet18", metrics=["f1"], callbacks=[oc.KeepBest("f1")]).to_bf16()',
            "learner.fine_tune([1, 2], lr=slice(1e-05, 0.001, None))",
            "learner.tune_threshold()",
        ]

    def test_a_note_names_the_objects_of_the_user(self) -> None:
        passed: dict[str, Any] = {
            "loss": Given("loss", object()), "mix": Given("oc.Mixup(alpha=0.2)", object()),
            "callbacks": [Call("KeepBest", ("f1",)), Given("callbacks[0]", object())],
        }  # fmt: skip
        pipeline = Pipeline(Call("a"), (), (), Call("vision_learner", (), passed), Call("fit"))
        lines = str(pipeline).splitlines()
        assert lines[0] == "# callbacks, loss: the objects that were passed."
        assert lines[4] == (
            "learner = oc.vision_learner(bunch, loss=loss, mix=oc.Mixup(alpha=0.2), "
            'callbacks=[oc.KeepBest("f1"), callbacks[0]])'
        )


class TestRun:
    def test_a_method_with_dots_and_arguments_that_are_calls(self) -> None:
        found: list[Any] = []
        names = package(sub=package(double=lambda value: 2 * value), take=lambda *a, **o: found.append((a, o)))
        call = Call(
            "take", (Call("sub.double", (3,)), [Call("sub.double", (4,)), "x"]), {"how": Function("sub.double")}
        )
        call.run(names, names)
        assert found == [((6, [8, "x"]), {"how": names.sub.double})]

    def test_the_user_s_object_itself_is_passed(self) -> None:
        mix = object()
        names = package(take=lambda **options: options)
        assert Call("take", (), {"mix": Given("mix", mix), "all": [Given("all[0]", mix)]}).run(names, names) == {
            "mix": mix, "all": [mix]
        }  # fmt: skip

    def test_all_calls_are_made_in_order(self, monkeypatch: Any) -> None:
        recorder = Recorder()
        names = package(
            ImageList=package(from_folder=lambda path: recorder), augment=package(none=lambda: "none"),
            KeepBest=lambda name: f"best {name}", vision_learner=lambda *a, **o: recorder.learner(*a, **o),
        )  # fmt: skip
        monkeypatch.setattr("onecycle.recipes.pipeline.public_package", lambda: names)
        learner = PIPELINE.make_learner(PIPELINE.label(PIPELINE.find_items()))
        PIPELINE.run_training(learner)
        PIPELINE.run_finish(learner)
        assert recorder.calls == [
            ("split_random", (), {"valid": 0.2}),
            ("label_from_folder", (), {}),
            ("transform", (), {"size": (24, 32), "augment": "none"}),
            ("databunch", (), {}),
            ("learner", (recorder, "resnet18"), {"metrics": ["f1"], "callbacks": ["best f1"]}),
            ("to_bf16", (), {}),
            ("fine_tune", ([1, 2],), {"lr": slice(1e-5, 1e-3)}),
            ("tune_threshold", (), {}),
        ]

    def test_public_names_are_those_of_the_package(self) -> None:
        assert public_package() is oc is sys.modules["onecycle"]
