"""`onecycle info`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onecycle.errors import some
from onecycle.imports import without_collecting

# Longer lists in a description are left out: they are data, such as a vocabulary.
_LONGEST = 8


def info(
    bundle: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model that train or Learner.export wrote, or the folder of a run.")
    ],
) -> None:
    """Show what a model predicts, what it reads, and how it was trained."""
    with without_collecting():
        from onecycle.bundle import one_line
        from onecycle.ship.model import find_bundle
        from onecycle.ship.rebuild import read_model, refused_as_bundle

    bundle = find_bundle(bundle)
    tensors, config = read_model(bundle)
    with refused_as_bundle(bundle, config):
        for line in _lines(bundle, tensors, config):
            typer.echo(one_line(line, 10_000))


def _lines(bundle: Path, tensors: dict[str, Any], config: dict[str, Any]) -> list[str]:
    megabytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) / 2**20
    name = config["model"].get("backbone", config["model"]["kind"])
    return [
        f"{bundle}: {name}, {megabytes:.1f} MB, written by onecycle {config['onecycle']}",
        *describe_target(config["target"]),
        f"reads {describe_config(config['modality'])}",
        *(line for key, value in config["card"].items() for line in describe_card(key, value)),
    ]


def describe_target(config: dict[str, Any]) -> list[str]:
    """Return lines that say what is predicted."""
    classes = config.get("classes", [])
    lines = [f"predicts {config['kind']}{': ' if classes else ''}{some(classes, 50)}"]
    if "threshold" in config:
        lines.append(f"threshold {config['threshold']:g}")
    return lines


def describe_config(config: dict[str, Any]) -> str:
    """Return the kind and the plain values of a part of a bundle; nested values are left out.

    Example:
        >>> describe_config({"kind": "images", "size": [96, 128], "method": "crop", "more": {}})
        'images, size 96x128, method crop'
    """
    items = [str(config["kind"])]
    for name, value in config.items():
        if name != "kind" and (text := _plain(value)):
            items.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(items)


def describe_card(name: str, value: Any) -> list[str]:
    """Return a line for each plain value that a card has under a name, and for each note of a list; what is nested has
    the names before it, and what is not known is left out.

    Example:
        >>> describe_card("learned", {"accepted": True, "metrics": {"accuracy": {"before": 0.5}}, "measured": [{}]})
        ['learned, accepted: yes', 'learned, metrics, accuracy, before: 0.5']
    """
    if isinstance(value, dict):
        return [line for key, one in value.items() for line in describe_card(f"{name}, {key}", one)]
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        return []
    if isinstance(value, list) and name.endswith(("ece", "brier")) and len(value) == 2:
        return [f"{name}: {value[0]} before, {value[1]} after"]
    if isinstance(value, list) and any(" " in str(one) for one in value):  # sentences, a line each
        return [f"{name}: {one}" for one in value]
    if isinstance(value, list):
        return [f"{name}: {some(value, 50)}"] if value else []
    if value is None:
        return []
    return [f"{name}: {'yes' if value is True else 'no' if value is False else value}"]


def _plain(value: Any) -> str:
    """Return a plain value as text, empty for a nested one."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not 0 < len(value) <= _LONGEST:
        return ""
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in value):
        return "x".join(map(_plain, value))
    return " ".join(value) if all(isinstance(each, str) for each in value) else ""
