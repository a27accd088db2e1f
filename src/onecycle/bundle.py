"""The file format of models and checkpoints: tensors as safetensors, everything else as JSON. No pickle, no code.

A bundle is a zip (or a folder) with exactly these members; loading refuses any other, so nothing can be smuggled in.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from onecycle.errors import BundleError, some

SCHEMA = 1
CONFIG, TENSORS = "config.json", "model.safetensors"
OPTIONAL = frozenset({"tokenizer.json"})
# All that zipfile raises for a file that is none, or has a wrong byte somewhere.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError)
_MEMBERS = frozenset({CONFIG, TENSORS}) | OPTIONAL


def write_bundle(path: str | Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Path:
    """Write a bundle so that a reader finds the whole new one or the whole old one, whatever goes wrong.

    Args:
        path: A file with a suffix, such as planet.onecycle, becomes a zip; a name without one becomes a folder.
        tensors: Name to tensor, on any device.
        config: What else there is to know; must be JSON.
    Raises:
        BundleError: It cannot be written; what was at `path` before is still there.
    """
    path = Path(path)
    _refuse_other_folder(path)
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    payload = safetensors.torch.save(plain)
    full = {"schema": SCHEMA, **config, "checksums": {TENSORS: hashlib.sha256(payload).hexdigest()}}
    full["checksums"][CONFIG] = _config_checksum(full)
    members = {CONFIG: json.dumps(full, indent=1).encode(), TENSORS: payload}
    _replace_whole(
        path,
        lambda temporary: _write_zip(temporary, members) if path.suffix else _write_folder(temporary, members),
    )
    return path


def read_bundle(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a bundle that says it is of `kind`, and check that it is whole and unchanged.

    Raises:
        BundleError: It is missing, cut short, edited, of a newer schema or another kind, or holds anything unexpected.
    """
    path = Path(path)
    if not path.exists():
        raise BundleError(
            f"No such bundle: {path}.", "a file or folder that export() or save() wrote.", "check the path."
        )
    members = _read_folder(path) if path.is_dir() else _read_zip(path)
    absent = [name for name in (CONFIG, TENSORS) if name not in members]
    if absent:
        raise BundleError(f"{path} has no {some(absent)}.", "a whole bundle.", "copy or export it again.")
    try:
        config = json.loads(members[CONFIG])
        schema = int(config["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise _edited(path, f"{CONFIG} cannot be read ({error})") from error
    if schema > SCHEMA:
        raise BundleError(
            f"{path} has schema {schema}, written by onecycle {config.get('onecycle', 'unknown')}.",
            f"schema {SCHEMA} or older, which this version reads.",
            f"pip install --upgrade 'onecycle>={config.get('onecycle', '')}'",
        )
    checksums = config.get("checksums")
    if not isinstance(checksums, dict) or checksums.get(CONFIG) != _config_checksum(config):
        raise _edited(path, f"{CONFIG} does not match its checksum")
    if checksums.get(TENSORS) != hashlib.sha256(members[TENSORS]).hexdigest():
        raise _edited(path, f"{TENSORS} does not match its checksum")
    if config.get("kind") != kind:
        raise BundleError(
            f"{path} holds a {config.get('kind')}, not a {kind}.",
            f"a {kind}.",
            "load_model() reads what export() wrote, learner.load() what save() wrote.",
        )
    try:
        return safetensors.torch.load(members[TENSORS]), config
    except safetensors.SafetensorError as error:
        raise _edited(path, f"{TENSORS} cannot be read ({error})") from error


def _config_checksum(config: Mapping[str, Any]) -> str:
    checksums = {name: value for name, value in config["checksums"].items() if name != CONFIG}
    canonical = json.dumps({**config, "checksums": checksums}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _edited(path: Path, what: str) -> BundleError:
    return BundleError(
        f"{path} is damaged or was edited: {what}.",
        "the bundle as it was written.",
        "copy it again from where it was exported, or export it again.",
    )


def _check_names(path: Path, names: list[str]) -> None:
    pickles = [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib"))]
    if pickles:
        raise BundleError(
            f"{path} holds a pickle: {some(pickles)}. Loading a pickle can run any code.",
            f"only {CONFIG} and {TENSORS}.",
            "do not trust this file; export the model with onecycle.",
        )
    unknown = sorted(set(names) - _MEMBERS)
    if unknown:
        raise BundleError(
            f"{path} holds unexpected files: {some(unknown)}.",
            f"only {CONFIG} and {TENSORS}.",
            "check where it is from.",
        )


def _read_folder(path: Path) -> dict[str, bytes]:
    _check_names(path, [entry.name for entry in path.iterdir()])
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def _read_zip(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(path, archive.namelist())
            return {name: archive.read(name) for name in archive.namelist()}
    except BundleError:
        raise
    except _UNREADABLE as error:
        raise BundleError(
            f"{path} is not a bundle, or was cut short: {error}.", "a whole bundle.", "copy or export it again."
        ) from error


def _write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # ZipInfo has a fixed date: same model, same bytes
    with path.open("wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())


def _write_folder(path: Path, members: Mapping[str, bytes]) -> None:
    path.mkdir()
    for name, data in members.items():
        (path / name).write_bytes(data)


def _refuse_other_folder(path: Path) -> None:
    """A folder is replaced as a whole, so any other file in it would be lost."""
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in _MEMBERS) if path.is_dir() else []
    if others:
        raise BundleError(
            f"{path} is a folder with other files in it: {some(others)}.",
            "a new name, or a bundle to replace.",
            f"name a file in it, such as {path / 'model.onecycle'}.",
        )


def _replace_whole(path: Path, write: Callable[[Path], None]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        if path.is_dir():
            os.replace(path, old)
        os.replace(temporary, path)
    except OSError as error:
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise BundleError(
            f"Cannot write {path}: {error.strerror or error}.",
            "a folder with enough room that may be written to.",
            "free some room or choose another path; what was there before is untouched.",
        ) from error
    finally:
        for leftover in (temporary, old):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    leftover.unlink(missing_ok=True)
