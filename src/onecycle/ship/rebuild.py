"""Rebuilds a model from a description that nobody vouches for: checked against its weights before memory is taken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from onecycle.bundle import differing_tensors, one_line, read_bundle
from onecycle.data.config import check_fields
from onecycle.data.modality import Modality
from onecycle.data.target import Target
from onecycle.errors import BundleError, DataError, ModelError, OnecycleError, some
from onecycle.inference.calibration import Calibration
from onecycle.inference.precision import MODES
from onecycle.registry import is_built_in, lookup
from onecycle.train.built_model import CALIBRATION, build_model, build_without_memory
from onecycle.train.packing import unpack

# Options that are the length of a tensor, so that none can be longer than the longest in the file.
SIZES = frozenset({
    "outputs", "points", "hidden", "vocabulary", "width", "vocab_size", "hidden_size", "intermediate_size",
    "embedding_size", "input_embedding_size", "type_vocab_size", "dim", "hidden_dim", "num_attention_heads", "n_heads",
})  # fmt: skip
# Options that count layers. Each has a tensor, except those that share theirs, as in ALBERT.
COUNTS = frozenset({
    "layers", "num_hidden_layers", "n_layers", "num_hidden_groups", "inner_group_num", "num_feedforward_networks",
})  # fmt: skip
MOST_SHARED_LAYERS = 64
# Bytes of constants that a model computes, such as positions, beside those of its weights.
MOST_CONSTANTS = 2**26
# Sections of a description, and their types.
_SECTIONS: dict[str, type] = {"model": dict, "target": dict, "modality": dict, "card": dict, "onecycle": str}


def read_model(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights and the description in a bundle that `Learner.export` wrote.

    Raises:
        BundleError: See `read_bundle`; or a part of the description is missing.
    """
    tensors, config = read_bundle(path, "model")
    wrong = [name for name, of in _SECTIONS.items() if not isinstance(config.get(name), of)]
    wrong += [name for name in ("model", "target", "modality") if name not in wrong and "kind" not in config[name]]
    if wrong:
        raise BundleError(
            f"{path} does not describe its {some(wrong)}.", "a bundle as export() writes it.", "export it again."
        )
    return tensors, config


@contextmanager
def refused_as_bundle(path: str | Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Turn whatever goes wrong while a model is rebuilt into a `BundleError`."""
    try:
        yield
    except OnecycleError as error:
        parts = (f"{path}: {error.what}", error.expected, error.fix)
        raise BundleError(*(one_line(text, 1000) for text in parts)) from error
    except Exception as error:
        raise BundleError(
            f"{path} does not describe a model that can be built: {type(error).__name__}: {one_line(error)}",
            "a bundle as export() writes it.",
            f"load it with the version that wrote it: onecycle {one_line(config.get('onecycle', 'unknown'), 30)}.",
        ) from error


def rebuild_calibration(tensors: dict[str, Tensor], config: Mapping[str, Any]) -> Calibration | None:
    """Return what a bundle says of how sure the model may be, and take its tensors out; None where it says nothing.

    Raises:
        ModelError: It is damaged.
    """
    held = {name: tensors.pop(name) for name in list(tensors) if name.startswith(CALIBRATION)}
    if config.get("calibration") is None:
        return None
    return Calibration.from_state_dict(unpack(config["calibration"], held))


def rebuild(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> tuple[nn.Module, Modality, Target]:
    """Return the model with its weights, and its modality and target.

    Raises:
        Exception: Of any kind, see `refused_as_bundle`.
    """
    module = _module(config, "model")
    lookup("model", config["model"]["kind"], hint_module=module)
    modality, target = (_part(kind, config) for kind in ("modality", "target"))
    if config.get("precision", "fp32") not in MODES:
        raise ModelError(f"The precision {config['precision']!r}.", f"one of: {', '.join(MODES)}.", "export it again.")
    if is_built_in("model", config["model"]["kind"]):  # what others' options mean is for their code to know
        _check_sizes(config["model"], tensors)
        _check_outputs(config["model"], modality, target)
    _check_fits(build_without_memory(config["model"], hint_module=module), tensors)
    model = build_model(config["model"], hint_module=module)
    _check_finite(model, tensors)
    model.load_state_dict(dict(tensors))
    return model, modality, target


def _part(kind: str, config: Mapping[str, Any]) -> Any:
    part = config[kind]
    found = lookup(kind, part["kind"], hint_module=_module(config, kind)).from_config(part)
    if is_built_in(kind, part["kind"]):
        check_fields(found)
    return found


def _module(config: Mapping[str, Any], kind: str) -> str | None:
    """Return the module that registered a part when it was exported; bundles of the first edition do not say."""
    module = (config.get("modules") or {}).get(kind)
    return module if isinstance(module, str) and all(part.isidentifier() for part in module.split(".")) else None


def _check_sizes(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Refuse sizes that no tensor of the file has, before anything of such a size is made."""
    longest = max((side for tensor in tensors.values() for side in tensor.shape), default=0)
    layers = max(len(tensors), MOST_SHARED_LAYERS)
    for name, value in _options(config):
        if isinstance(value, float) and not math.isfinite(value):
            raise ModelError(f"The model has {name}={value}.", "finite numbers.", "export the model again.")
        limit = longest if name in SIZES else layers
        if name in SIZES | COUNTS and isinstance(value, int | float) and not 0 <= value <= limit:
            raise ModelError(
                f"The model has {name}={value}, and its weights allow 0 to {limit:,}.",
                "a description of the model whose weights these are.",
                "do not trust the file; export the model again.",
            )


def _options(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _options(value)
        else:
            yield name, value


def _check_outputs(config: Mapping[str, Any], modality: Modality, target: Target) -> None:
    """Check that there is a class for each output, and a vector for each token."""
    if not is_built_in("target", target.kind) or target.kind == "tensor":
        return
    given = 2 * config["points"] if "points" in config else config.get("outputs")
    names = [*target.classes]
    if (given is not None and given != target.outputs) or len(set(names)) != len(names):
        raise ModelError(
            f"The model has {given} outputs, and the classes are {some(names, 8)}.",
            "one class for each output, without doubles.",
            "export the model again.",
        )
    encoder, tokenizer = config.get("encoder"), getattr(modality, "tokenizer", None)
    if encoder is None or tokenizer is None:
        return
    rows, pad = encoder.get("vocabulary", encoder.get("vocab_size")), config.get("pad", encoder.get("pad"))
    if rows is not None and (tokenizer.embedding_rows > rows or type(pad) is not int or not 0 <= pad < rows):
        raise ModelError(
            f"The tokenizer has {tokenizer.embedding_rows:,} tokens; the model {rows:,}, with {pad!r} for padding.",
            "a model that knows all tokens.",
            "export the model again.",
        )


def _check_fits(blank: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Check that the description is of these weights, on a model that takes no memory."""
    own = blank.state_dict()
    if differ := differing_tensors(own, tensors):
        raise ModelError(
            f"The weights are of another model: {len(differ):,} tensors differ, such as {differ[0]}.",
            "the weights of the model that is described.",
            "export the model again.",
        )
    constants = sum(buffer.nbytes for name, buffer in blank.named_buffers() if name not in own)
    if constants > MOST_CONSTANTS + sum(tensor.nbytes for tensor in tensors.values()):
        raise ModelError(
            f"The model would take {constants:,} bytes beside its weights.", "a model of the size of its weights.",
            "do not trust the file; export the model again.",
        )  # fmt: skip


def _check_finite(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not numbers. A mask in a buffer may be infinite."""
    masks = {name for name, _ in model.named_buffers() if "mask" in name}
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        tensor = tensor.float() if tensor.itemsize < 4 else tensor
        # The sum of what is not finite is not finite either, and takes no memory.
        if not math.isfinite(tensor.sum().abs().item()):
            bad = tensor.isnan() if name in masks else ~tensor.isfinite()
            if bad.any():
                raise DataError(
                    f"{int(bad.sum()):,} of the {tensor.numel():,} numbers in {name} are not finite.",
                    "weights that are numbers.",
                    "export the model from a training that did not diverge.",
                )
