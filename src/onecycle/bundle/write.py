"""Writing bundles: weights pass through once, from where they are to the disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from onecycle.bundle import layout
from onecycle.bundle.layout import CONFIG, TENSORS, config_checksum, is_checksum, is_weights, weights_name
from onecycle.bundle.replace import is_part, locked, writing
from onecycle.bundle.strict_json import count_values
from onecycle.bundle.tensors import make_header, write_tensors
from onecycle.disk import sync_folder
from onecycle.errors import BundleError, some


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
    try:
        header, names = make_header(tensors)
    except ValueError as error:
        raise BundleError(
            f"Cannot write {path}: {error}.", "plain tensors, as safetensors holds them.", "leave it out of the model."
        ) from error
    content = _Content(tensors, header, names, config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            _write_zip(path, content)
        else:
            _write_folder(path, content)
    except OSError as error:
        raise BundleError(
            f"Cannot write {path}: {error.strerror or error}.",
            "a folder with enough room that may be written to.",
            "free some room or choose another path; what was there before is untouched.",
        ) from error
    return path


class _Content:
    """What is written: the weights first, since the config holds their checksum."""

    def __init__(
        self, tensors: Mapping[str, Tensor], header: bytes, names: list[str], config: Mapping[str, Any]
    ) -> None:
        self._tensors, self._header, self._names, self._config = tensors, header, names, config
        self.size = len(header) + sum(tensor.nbytes for tensor in tensors.values())

    def write_weights(self, file: Any) -> str:
        """Write the weights, and return their checksum."""
        digest = hashlib.sha256()

        def write(data: bytes | memoryview) -> None:
            digest.update(data)
            file.write(data)

        write_tensors(self._tensors, self._header, self._names, write)
        return digest.hexdigest()

    def config(self, checksum: str) -> bytes:
        """Return the config with the checksums of the weights and of itself."""
        full = {"schema": layout.SCHEMA, **self._config, "checksums": {TENSORS: checksum}}
        full["checksums"][CONFIG] = config_checksum(full)
        data = json.dumps(full, indent=1).encode()
        if len(data) > layout.LARGEST_CONFIG or count_values(data) > layout.MOST_VALUES:
            raise BundleError(
                f"The description of this model takes {len(data):,} bytes and {count_values(data):,} values as JSON.",
                f"at most {layout.LARGEST_CONFIG:,} bytes and {layout.MOST_VALUES:,} values.",
                "keep large data in tensors.",
            )
        return data


def _write_zip(path: Path, content: _Content) -> None:
    with writing(path.parent, path.name) as part:
        # ZipInfo has a fixed date: same model, same bytes.
        with zipfile.ZipFile(part.file, "w", zipfile.ZIP_STORED) as archive:
            weights = zipfile.ZipInfo(TENSORS)
            weights.file_size = content.size  # decides whether its header has room for a length above 4 GB
            weights.external_attr = 0o600 << 16
            with archive.open(weights, "w") as member:
                checksum = content.write_weights(member)
            archive.writestr(zipfile.ZipInfo(CONFIG), content.config(checksum))
        part.become(path)


def _write_folder(path: Path, content: _Content) -> None:
    """Write the new weights beside the old ones, then have the config name them: that is one step."""
    is_new = not path.exists()
    path.mkdir(exist_ok=True)
    try:
        with locked(path) as alone:
            _replace_members(path, content, alone)
        if is_new:
            sync_folder(path.parent)
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):
                path.rmdir()  # which keeps a folder that has files
        raise


def _replace_members(path: Path, content: _Content, alone: bool) -> None:
    with writing(path, "weights") as weights, writing(path, "config") as part:
        checksum = content.write_weights(weights.file)
        part.file.write(content.config(checksum))
        new, before = path / weights_name(checksum), [path / name for name in _weights_named(path)]
        weights.become(new)
        try:
            part.become(path / CONFIG)
        except OSError:
            if new not in before:
                new.unlink(missing_ok=True)
            raise
    # Alone, whatever the config does not name was left by writers that died.
    unused = [entry for entry in path.iterdir() if is_weights(entry.name)] if alone else before
    for file in unused:
        if file != new:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)


def _weights_named(path: Path) -> list[str]:
    """Return the names of the weights that a folder's config names; none where it cannot be read."""
    try:
        checksum = json.loads((path / CONFIG).read_bytes())["checksums"][TENSORS]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
    return [weights_name(checksum), TENSORS] if is_checksum(checksum) else []


def _refuse_other_folder(path: Path) -> None:
    """A folder with anything but a bundle is not one to write into."""
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    others = [name for name in names if name != CONFIG and not is_weights(name) and not is_part(name)]
    if others or (names and path.suffix):
        raise BundleError(
            f"{path} is a folder with other files in it: {some(others or names)}.",
            "a new name, or a bundle to replace.",
            f"name a file in it, such as {path / 'model.onecycle'}.",
        )
