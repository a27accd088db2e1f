"""Exporting: what could not be loaded is refused before anything is written, and the card describes the weights."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import onecycle as oc
from learners import assert_same, photo_bunch, plain_model, tiny, weights_of
from onecycle.bundle import read_bundle
from onecycle.data.bunch import DataBunch
from onecycle.data.categories import Category
from onecycle.data.plain import Tensors
from onecycle.errors import BundleError, ModelError
from onecycle.train import export
from onecycle.train.built_model import build_model
from onecycle.train.export import export_model, model_to_config, training_card
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


@oc.register("model", "test_with_config")
class WithConfig(nn.Module):
    """A model of the user that stores the arguments it was made with."""

    def __init__(self, outputs: int, width: int = 4) -> None:
        super().__init__()
        self.config = {"outputs": outputs, "width": width}
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, outputs)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        return self.layers(pixels / 128 - 1)  # type: ignore[no-any-return]


@oc.register("model", "test_without_arguments")
class WithoutArguments(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = plain_model()

    def forward(self, pixels: Tensor) -> Tensor:
        return self.layers(pixels)  # type: ignore[no-any-return]


@oc.register("model", "test_with_from_config")
class WithFromConfig(WithoutArguments):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def to_config(self) -> dict[str, Any]:
        return {"outputs": 3}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WithFromConfig:
        return cls(plain_model(config["outputs"]))


@oc.register("model", "test_computes_while_it_is_built")
class Computes(WithConfig):
    """Its constructor reads a weight, which a model without memory does not have."""

    def __init__(self, outputs: int, width: int = 4) -> None:
        super().__init__(outputs, width)
        self.scale = float(next(self.parameters()).sum().item())


MODELS: list[Callable[[], nn.Module]] = [
    lambda: WithConfig(3, width=5), WithoutArguments, lambda: WithFromConfig(plain_model()), lambda: Computes(3),
]  # fmt: skip


@pytest.mark.parametrize("make", MODELS, ids=["config", "no arguments", "from_config", "computes"])
def test_a_registered_model_of_the_user_loads_again(
    bunch: DataBunch, photos: Path, tmp_path: Path, make: Callable[[], nn.Module]
) -> None:
    learner = Learner(bunch, make(), progress=False)
    learner.fit(1, 1e-3)
    state = torch.random.get_rng_state()
    model = oc.load_model(learner.export(tmp_path / "mine.onecycle"))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert_same(model.model.state_dict(), weights_of(learner))
    path = photos / "red" / "red_0.jpg"
    assert model.predict(path) == learner.predict(path)


def test_the_config_holds_what_the_model_is_built_from() -> None:
    assert model_to_config(WithConfig(3, width=5)) == {"kind": "test_with_config", "outputs": 3, "width": 5}
    assert model_to_config(WithoutArguments()) == {"kind": "test_without_arguments"}
    built = build_model({"kind": "test_with_config", "outputs": 2, "width": 7})
    assert isinstance(built, WithConfig)
    assert built.config == {"outputs": 2, "width": 7}


def test_the_bundle_names_the_modules_of_its_parts(bunch: DataBunch, tmp_path: Path) -> None:
    learner = Learner(bunch, WithConfig(3), progress=False).to_bf16(force=True)
    _, config = read_bundle(learner.export(tmp_path / "mine.onecycle"), "model")
    assert config["modules"] == {
        "target": "onecycle.data.categories", "modality": "onecycle.vision.images", "model": WithConfig.__module__,
    }  # fmt: skip
    assert config["precision"] == "bf16"


class NotRegistered(WithConfig):
    pass


@oc.register("model", "test_forgets_an_argument")
class ForgetsAnArgument(WithConfig):
    def __init__(self, outputs: int, width: int) -> None:
        super().__init__(outputs, width)
        self.config = {"outputs": outputs}


@oc.register("model", "test_stores_another_width")
class StoresAnotherWidth(WithConfig):
    def __init__(self, outputs: int, width: int = 4) -> None:
        super().__init__(outputs, width)
        self.config = {"outputs": outputs}


@oc.register("model", "test_config_is_not_json")
class NotJson(WithConfig):
    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.config = {"outputs": torch.tensor(outputs)}  # type: ignore[dict-item]


@dataclass(frozen=True)
class NotRegisteredTarget(Category):
    kind = "test_not_registered"


@dataclass(frozen=True)
class SameKindAsCategory(Category):
    """A subclass that keeps the name of its base, so that another class would be loaded."""


@oc.register("modality", "test_forgets")
@dataclass(frozen=True)
class Forgets(Tensors):
    """Its config is not read."""

    scale: float = 1.0
    kind = "test_forgets"

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Forgets:
        return cls()


class TestRefusedBeforeWriting:
    def refused(self, learner: Learner, folder: Path) -> list[str]:
        """The three lines of the error; nothing has been written."""
        with pytest.raises((ModelError, BundleError)) as caught:
            learner.export(folder / "mine.onecycle")
        assert list(folder.iterdir()) == []
        return str(caught.value).split("\n")

    def test_a_model_that_is_not_registered(self, bunch: DataBunch, tmp_path: Path) -> None:
        assert self.refused(Learner(bunch, NotRegistered(3), progress=False), tmp_path) == [
            "A NotRegistered is not registered, so what is exported could not be loaded.",
            "Expected a registered class.",
            'Fix: write @onecycle.register("model", "my_model") above `class NotRegistered`, or use save().',
        ]

    def test_a_model_whose_config_lacks_an_argument(self, bunch: DataBunch, tmp_path: Path) -> None:
        what, expected, fix = self.refused(Learner(bunch, ForgetsAnArgument(3, 8), progress=False), tmp_path)
        assert what.startswith("The model cannot be built again from its config: TypeError: ")
        assert "missing 1 required positional argument: 'width'" in what
        assert expected == "Expected a config in JSON that holds every argument of the constructor."
        assert fix == (
            "Fix: set self.config = {...} in the model's constructor, or define to_config() and from_config()."
        )

    def test_a_model_that_is_built_with_other_shapes(self, bunch: DataBunch, tmp_path: Path) -> None:
        what, *_ = self.refused(Learner(bunch, StoresAnotherWidth(3, width=6), progress=False), tmp_path)
        assert what.endswith("ValueError: 3 tensors differ, such as layers.0.weight.")

    def test_a_model_whose_config_is_not_json(self, bunch: DataBunch, tmp_path: Path) -> None:
        what, *_ = self.refused(Learner(bunch, NotJson(3), progress=False), tmp_path)
        assert "Object of type Tensor is not JSON serializable" in what

    @pytest.mark.parametrize(
        ("kind", "cls"), [("test_not_registered", NotRegisteredTarget), ("category", SameKindAsCategory)]
    )
    def test_a_target_that_is_not_registered(
        self, bunch: DataBunch, tmp_path: Path, kind: str, cls: type[Category]
    ) -> None:
        learner = Learner(bunch.with_target(cls(bunch.target.classes)), WithConfig(3), progress=False)
        assert self.refused(learner, tmp_path) == [
            f"The target {cls.__name__} is not registered as {kind!r}, so what is exported could not be loaded.",
            "Expected a registered class, whose `kind` is the name it is registered under.",
            f'Fix: write @onecycle.register("target", "{kind}") above `class {cls.__name__}`.',
        ]

    def test_a_modality_that_is_built_otherwise(self, bunch: DataBunch, tmp_path: Path) -> None:
        learner = Learner(bunch, WithConfig(3), progress=False)
        learner.data.modality = Forgets(scale=2.0)
        try:
            what, _, fix = self.refused(learner, tmp_path)
        finally:
            learner.data.modality = learner.data.labelled.modality
        assert what.endswith("ValueError: from_config() gives another config back.")
        assert fix.startswith("Fix: set self.config = {...} in the modality's constructor")

    def test_a_file_that_exists_is_kept(self, bunch: DataBunch, tmp_path: Path) -> None:
        path = Learner(bunch, WithConfig(3), progress=False).export(tmp_path / "mine.onecycle")
        before = path.read_bytes()
        with pytest.raises(ModelError):
            export_model(Learner(bunch, NotRegistered(3), progress=False).state, path)
        assert path.read_bytes() == before


class TestCard:
    def test_it_describes_the_training(self, bunch: DataBunch) -> None:
        learner = tiny(bunch, seed=7)
        card = training_card(learner.state)
        assert (card["epochs"], card["epoch"], card["valid_loss"], card["metrics"]) == (0, None, None, {})
        learner.fit(2, 1e-3)
        card = training_card(learner.state)
        assert (card["epochs"], card["epoch"], card["training_items"], card["validation_items"]) == (2, 2, 24, 6)
        assert card["seed"] == 7
        assert card["metrics"] == learner.history[-1].metrics
        assert card["valid_loss"] == learner.history[-1].valid_loss
        assert card["seconds"] == round(sum(record.seconds for record in learner.history), 1)
        assert card["notes"] == learner.history.notes
        assert datetime.date.fromisoformat(card["date"])

    def test_it_describes_the_kept_epoch(self, bunch: DataBunch, tmp_path: Path) -> None:
        class Worse(oc.Callback):
            """Each epoch's validation loss is its number, so that the first one is the best."""

            def on_epoch_end(self, state: Any, event: Any) -> None:
                object.__setattr__(event.record, "valid_loss", float(event.epoch))

        learner = Learner(bunch, WithConfig(3), callbacks=[Worse(), oc.KeepBest()], progress=False)
        learner.fit(3, 1e-2)
        card = oc.load_model(learner.export(tmp_path / "mine.onecycle")).card
        assert (card["epoch"], card["epochs"], card["valid_loss"]) == (1, 3, 0)
        assert card["metrics"]["accuracy"] == pytest.approx(learner.validate()["accuracy"])
        assert "kept the weights of epoch 1, the best valid_loss" in card["notes"]

    def test_another_target_of_the_same_model_is_written(self, bunch: DataBunch, tmp_path: Path) -> None:
        learner = Learner(bunch, WithConfig(3), progress=False)
        renamed = replace(bunch.target, classes=("one", "two", "three"))  # type: ignore[type-var]
        learner.state.data = bunch.with_target(renamed)
        assert oc.load_model(learner.export(tmp_path / "mine.onecycle")).classes == ("one", "two", "three")


@oc.register("model", "test_forgets_what_it_computes")
class ForgetsWhatItComputes(WithConfig):
    """The argument that its config lacks changes no weight's shape."""

    def __init__(self, outputs: int, width: int = 4, scale: float = 1.0) -> None:
        super().__init__(outputs, width)
        self.scale = scale

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels) * self.scale


def test_a_model_that_would_compute_something_else_is_refused(
    bunch: DataBunch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BundleError, match=r"its outputs differ by up to [\s\S]*every argument of the constructor"):
        Learner(bunch, ForgetsWhatItComputes(3, scale=3.0), progress=False).export(tmp_path / "mine.onecycle")
    assert not list(tmp_path.iterdir())
    Learner(bunch, ForgetsWhatItComputes(3), progress=False).export(tmp_path / "mine.onecycle")


@pytest.mark.parametrize("make", MODELS, ids=["config", "no arguments", "from_config", "computes"])
def test_of_a_large_model_the_weights_names_and_shapes_are_compared(
    bunch: DataBunch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], nn.Module]
) -> None:
    monkeypatch.setattr(export, "LARGEST_COPY", 0)
    learner = Learner(bunch, make(), progress=False)
    assert_same(oc.load_model(learner.export(tmp_path / "mine.onecycle")).model.state_dict(), weights_of(learner))
