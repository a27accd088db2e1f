"""Cached features in a file, so that the next round of learning computes only those of new items."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from torch import Tensor

from onecycle.bundle import read_bundle, write_bundle
from onecycle.errors import BundleError
from onecycle.train.cached_features import CachedFeatures, Features
from onecycle.train.hash_weights import hash_weights
from onecycle.train.layer_groups import GroupedModel
from onecycle.train.state import TrainState

KIND = "features"


def write_features(state: TrainState, path: str | Path) -> None:
    """Write the cached features of plain items, where there are any and their labels are tensors."""
    cached = state.cached_features
    if cached is None:
        return
    tensors: dict[str, Tensor] = {}
    for name, features in (("train", cached.copies[0]), ("valid", cached.valid)):
        if not isinstance(features.targets, Tensor):
            return
        tensors |= {f"{name}.inputs": features.inputs, f"{name}.targets": features.targets}
        tensors[f"{name}.known"] = features.known
    write_bundle(
        path, {name: tensor.contiguous() for name, tensor in tensors.items()}, {"kind": KIND, "key": _key(state)}
    )


def read_features(state: TrainState, path: str | Path) -> bool:
    """Take the cached features in a file, if they are of this model's body and these items; return whether they are."""
    try:
        tensors, config = read_bundle(path, KIND)
    except BundleError:
        return False
    if config.get("key") != _key(state):
        return False
    train, valid = (
        Features(tensors[f"{name}.inputs"], tensors[f"{name}.targets"], tensors[f"{name}.known"].bool(), None)
        for name in ("train", "valid")
    )
    state.cached_features = CachedFeatures([train], valid, state.data.train, state.device, state.processes)
    return True


def _key(state: TrainState) -> str:
    """Return the checksum of what features depend on: the body, how items are read, and the items with their labels."""
    assert isinstance(state.model, GroupedModel)
    digest = hashlib.sha256()
    hash_weights(state.model.body, digest)
    about = [state.data.modality.to_config(), state.target.to_config(), state.precision.mode]
    digest.update(json.dumps(about, sort_keys=True).encode())
    for loader in (state.data.train, state.data.valid):
        digest.update(loader.dataset.rows.checksum.encode())
    return digest.hexdigest()
