"""What is no file for this runtime: bundles, programs of PyTorch, folders; and what reads it."""

from __future__ import annotations

from pathlib import Path

from onecycle.errors import BundleError

WANTED = "a file that export() wrote, .onnx or .xml."
ZIP = b"PK"


def check_is_exported(path: Path) -> None:
    """Refuse what another function reads, by its first bytes.

    Raises:
        BundleError: It is a folder, a bundle or a program of `torch.export`, or there is no file.
    """
    if path.is_dir():
        raise BundleError(f"{path} is a folder.", WANTED, _how_to_read_folder(path))
    if not path.is_file():
        raise BundleError(f"No such file: {path}.", "a file that export() wrote.", "check the path.")
    with path.open("rb") as file:
        is_zip = file.read(len(ZIP)) == ZIP
    if is_zip and path.suffix.lower() == ".pt2":
        raise BundleError(f"{path} is a program of torch.export.", WANTED, f"call torch.export.load({str(path)!r}).")
    if is_zip:
        raise BundleError(f"{path} is a bundle, which PyTorch computes.", WANTED, _how_to_read_bundle(path))


def _how_to_read_folder(folder: Path) -> str:
    exported = sorted(str(path) for suffix in ("onnx", "xml") for path in folder.glob(f"*.{suffix}"))
    return f"pass {' or '.join(map(repr, exported[:4]))}." if exported else _how_to_read_bundle(folder)


def _how_to_read_bundle(path: Path) -> str:
    return f"load it with onecycle.load_model(), or write one from it: onecycle export {path} {path.stem}.onnx"
