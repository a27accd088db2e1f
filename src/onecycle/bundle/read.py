"""Reading bundles: first what kind of file it is, then its checksums, and only then what it says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from onecycle.bundle import layout
from onecycle.bundle.layout import (
    CONFIG,
    MEMBERS,
    PICKLES,
    TENSORS,
    config_checksum,
    is_checksum,
    one_line,
    weights_name,
)
from onecycle.bundle.replace import is_part
from onecycle.bundle.span import NotAFileError, Span, open_file
from onecycle.bundle.strict_json import parse_json
from onecycle.bundle.tensors import read_tensors
from onecycle.bundle.zip_members import NotOurZipError, find_members
from onecycle.errors import BundleError, some

_VERSION = re.compile(r"[0-9][0-9a-z.+]{0,30}")


def read_bundle(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a bundle that says it is of `kind`, and check that it is whole and unchanged.

    Beside a process that replaces the bundle, this is the old one or the new one.

    Raises:
        BundleError: It is missing, cut short, edited, of a newer schema or another kind, or holds anything unexpected.
    """
    path = Path(path)
    if not path.exists():
        raise BundleError(
            f"No such bundle: {path}.", "a file or folder that export() or save() wrote.", "check the path."
        )
    _check_is_no_export(path)
    try:
        return _read_folder(path, kind) if path.is_dir() else _read_zip(path, kind)
    except OSError as error:
        raise BundleError(
            f"Cannot read {path}: {error.strerror or error}.", "a bundle that may be read.", "check its permissions."
        ) from error
    except NotAFileError as found:
        raise BundleError(
            f"{path} is or holds {found}.", "files only, without links.", "do not trust it; copy or export it again."
        ) from found


def _check_is_no_export(path: Path) -> None:
    """Refuse what was exported for another runtime, which is whole, and that a new copy would not help."""
    readers = {
        ".onnx": f"call onecycle.runtime.load_model({str(path)!r}).",
        ".xml": f"call onecycle.runtime.load_model({str(path)!r}).",
        ".pt2": f"call torch.export.load({str(path)!r}).",
    }
    if path.is_file() and (how := readers.get(path.suffix.lower())):
        raise BundleError(
            f"{path} was exported for another runtime.", "a bundle, such as model.onecycle.", how,
            shell_fix="name the run or the bundle that it was exported from.",
        )  # fmt: skip


def _read_zip(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    file, size = open_file(path, links=True)
    with file:
        try:
            members = find_members(file, size, lambda names: _check_names(path, names, MEMBERS))
        except NotOurZipError as error:
            raise BundleError(
                f"{path} is not a zip as export() writes it: {error}.",
                f"{CONFIG} and {TENSORS}, uncompressed, one after the other, and nothing else.",
                "do not trust it; copy or export it again.",
            ) from error
        except BundleError:
            raise
        except ValueError as error:
            raise BundleError(
                f"{path} is not a bundle, or was cut short: {one_line(error)}.",
                "a whole bundle.",
                "copy or export it again.",
            ) from error
        _check_complete(path, members)
        config = _read_config(path, members[CONFIG], kind)
        return _read_weights(path, members[TENSORS], config), config


def _read_folder(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    before: dict[str, Any] | None = None
    while True:
        names = [entry.name for entry in path.iterdir() if not is_part(entry.name)]
        _check_names(path, [name for name in names if not layout.is_weights(name)], (CONFIG,))
        _check_complete(path, [CONFIG if name == CONFIG else TENSORS for name in names])
        file, size = open_file(path / CONFIG, links=False)
        with file:
            config = _read_config(path, Span(file, 0, size), kind)
        for name in (weights_name(config["checksums"][TENSORS]), TENSORS):
            try:
                file, size = open_file(path / name, links=False)
            except FileNotFoundError:
                continue
            with file:
                return _read_weights(path, Span(file, 0, size), config), config
        if config == before:
            raise _incomplete(path, [TENSORS])
        before = config  # a writer may have replaced the config and removed these weights since: look again


def _read_config(path: Path, span: Span, kind: str) -> dict[str, Any]:
    """Return the config once it matches its checksum, has a known schema, and is of the right kind."""
    if span.size > layout.LARGEST_CONFIG:
        raise _edited(path, f"{CONFIG} has {span.size:,} bytes")
    try:
        config = parse_json(span.read(0, span.size))
    except ValueError as error:
        raise _edited(path, f"{CONFIG} cannot be read ({one_line(error)})") from error
    checksums = config.get("checksums") if isinstance(config, dict) else None
    if not isinstance(checksums, dict) or not is_checksum(checksums.get(TENSORS)):
        raise _edited(path, f"{CONFIG} cannot be read (it has no checksums)")
    if checksums.get(CONFIG) != config_checksum(config):
        raise _edited(path, f"{CONFIG} does not match its checksum")
    _check_schema(path, config)
    if config.get("kind") != kind:
        raise BundleError(
            f"{path} holds a {one_line(config.get('kind'))}, not a {kind}.",
            f"a {kind}.",
            "load_model() reads what export() wrote, learner.load() what save() wrote.",
        )
    return dict(config)


def _check_schema(path: Path, config: dict[str, Any]) -> None:
    schema = config.get("schema")
    if type(schema) is not int or schema < 1:
        raise _edited(path, f"{CONFIG} has the schema {one_line(schema)}")
    if schema > layout.SCHEMA:
        version = config.get("onecycle")
        known = isinstance(version, str) and _VERSION.fullmatch(version)  # it becomes part of a command
        raise BundleError(
            f"{path} has schema {schema}, written by onecycle {version if known else 'unknown'}.",
            f"schema {layout.SCHEMA} or older, which this version reads.",
            f"pip install --upgrade 'onecycle{f'>={version}' if known else ''}'",
        )


def _read_weights(path: Path, span: Span, config: dict[str, Any]) -> dict[str, Tensor]:
    import psutil  # only for this

    free = psutil.virtual_memory().available
    if span.size > free:
        raise BundleError(
            f"The weights in {path} take {span.size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB of memory are free.",
            "weights that fit in memory.",
            "close other programs, or use a machine with more memory.",
        )
    if span.sha256() != config["checksums"][TENSORS]:
        raise _edited(path, f"{TENSORS} does not match its checksum")
    try:
        return read_tensors(span)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise _edited(path, f"{TENSORS} cannot be read ({one_line(error)})") from error


def _edited(path: Path, what: str) -> BundleError:
    return BundleError(
        f"{path} is damaged or was edited: {what}.",
        "the bundle as it was written.",
        "copy it again from where it was exported, or export it again.",
    )


def _check_complete(path: Path, names: Iterable[str]) -> None:
    found = set(names)
    if absent := [name for name in MEMBERS if name not in found]:
        raise _incomplete(path, absent)


def _incomplete(path: Path, absent: list[str]) -> BundleError:
    return BundleError(f"{path} has no {some(absent)}.", "a whole bundle.", "copy or export it again.")


def _check_names(path: Path, names: list[str], expected: tuple[str, ...]) -> None:
    if pickles := [one_line(name, 80) for name in names if name.endswith(PICKLES)]:
        raise BundleError(
            f"{path} holds a pickle: {some(pickles)}. Loading a pickle can run any code.",
            f"only {CONFIG} and {TENSORS}.",
            "do not trust this file; export the model with onecycle.",
        )
    if unknown := sorted({one_line(name, 80) for name in names if name not in expected}):
        raise BundleError(
            f"{path} holds unexpected files: {some(unknown)}.",
            f"only {CONFIG} and {TENSORS}.",
            "check where it is from.",
        )
