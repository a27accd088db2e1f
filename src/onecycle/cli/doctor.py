"""`onecycle doctor`."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import typer

# What users of each extra want to do, by its name in pyproject.toml. Extras for working on onecycle are left out.
PURPOSES = {
    "offline": "pretrained weights without internet",
    "data": "remote data, Hugging Face datasets",
    "formats": "masks in COCO's run-length form",
    "heif": "HEIC photos",
    "serve": "onecycle serve, onecycle review",
    "hub": "models on the Hugging Face hub",
    "onnx": "export to ONNX",
    "openvino": "export to OpenVINO",
    "runtime": "exported models without PyTorch",
    "report": "the report as one page",
    "track": "trackers: TensorBoard, MLflow, Weights & Biases, Trackio",
    "ray": "predictions on a Ray cluster",
}


def doctor() -> None:
    """Show versions, device, memory, cache and weights at hand, and what is missing for what. Put it into reports."""
    for name, value in _findings():
        typer.echo(f"{name:<12}{value}")


def _findings() -> Iterator[tuple[str, str]]:
    yield "onecycle", f"{metadata.version('onecycle')}, in {Path(__file__).parents[1]}"
    yield "system", f"{platform.platform()}, Python {platform.python_version()}"
    yield "packages", ", ".join(f"{name} {_version(name)}" for name in _core_packages())
    yield from _machine()
    yield from _files()
    for extra, purpose in PURPOSES.items():
        missing = [name for name in _packages_of(extra) if _version(name) is None]
        found = f"missing: {', '.join(missing)}; pip install 'onecycle[{extra}]'" if missing else "at hand"
        yield "extra", f"{extra} ({purpose}): {found}"


def _machine() -> Iterator[tuple[str, str]]:
    import psutil
    import torch

    from onecycle.inference.precision import supported

    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "processors", f"{cores} for this process, {torch.get_num_threads()} threads in PyTorch"
    yield "memory", f"{_size(memory.available)} free of {_size(memory.total)}"
    place = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    name = place.type
    if place.type == "cuda":
        found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        name = ", ".join(f"cuda:{number} {each.name}, {_size(each.total_memory)}" for number, each in enumerate(found))
    mode, reason = supported("bf16", place)
    yield "device", name
    yield "bf16", "supported" if mode == "bf16" else f"not used: {reason}"


def _files() -> Iterator[tuple[str, str]]:
    from huggingface_hub.constants import HF_HUB_CACHE

    from onecycle.data.cache_home import cache_home
    from onecycle.text import encoders
    from onecycle.vision import weights

    cache = cache_home()
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    yield "cache", f"{cache}, {_size(shutil.disk_usage(there).free)} free; weights of the hub: {HF_HUB_CACHE}"
    packages = {each.package: each.backbone for each in weights.PACKAGES}
    packages |= {each.package: each.encoder for each in encoders.PACKAGES}
    held = [name for package, name in packages.items() if _version(package) is not None]
    yield "weights", ", ".join(held) if held else "none installed; they are downloaded when they are asked for"


def _core_packages() -> list[str]:
    return [name for name in _packages_of(None) if _version(name) is not None]


def _packages_of(extra: str | None) -> list[str]:
    """Return the names of the packages that onecycle, or one of its extras, asks for on this machine."""
    from packaging.requirements import Requirement

    asked = [Requirement(line) for line in metadata.requires("onecycle") or ()]
    if extra is None:
        return [each.name for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [
        each.name
        for each in asked
        if each.marker and each.marker.evaluate({"extra": extra}) and not each.marker.evaluate({"extra": ""})
    ]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GB"
