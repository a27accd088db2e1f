"""The card of a model on the hub, made from what its bundle says: metadata as the hub reads it, then words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from onecycle.bundle.layout import one_line

# What is above is written anew with each push; what people write below stays.
MARK = "\n<!-- onecycle writes what is above this line; what is below stays. -->\n"
MOST_CLASSES = 60
LIMITS = (
    "## Limits\n\nThe scores are of items like those it was trained on. How good it is on others, such as of another "
    "camera, source or time, they do not tell: try it on items of your own first."
)
# The hub's tasks, by modality and target.
TASKS = {
    ("images", "category"): "image-classification",
    ("images", "multi_category"): "image-classification",
    ("images", "mask"): "image-segmentation",
    ("images", "points"): "keypoint-detection",
    ("texts", "category"): "text-classification",
    ("texts", "multi_category"): "text-classification",
    ("texts", "next_token"): "text-generation",
    ("texts", "masked_token"): "fill-mask",
}


def card_of(config: Mapping[str, Any], repo_id: str) -> str:
    """Return the card of a bundle as Markdown with metadata.

    Args:
        config: The bundle's description.
        repo_id: Where it is pushed to.
    """
    body = "\n\n".join(part for part in (
        f"# {repo_id.rpartition('/')[2]}", _introduction(config), _use(repo_id), _classes(config), _scores(config),
        _how_sure(config), _training(config), LIMITS,
    ) if part)  # fmt: skip
    return f"---\n{metadata(config, repo_id).to_yaml()}\n---\n\n{body}\n"


def metadata(config: Mapping[str, Any], repo_id: str) -> Any:
    """Return the `ModelCardData` of a bundle, with its scores on the validation items as results."""
    from huggingface_hub import EvalResult, ModelCardData

    card, task = config["card"], TASKS.get((config["modality"]["kind"], config["target"]["kind"]))
    scores = _finite(card.get("metrics"))
    items = card.get("validation_items")
    results = [
        EvalResult(
            task_type=task or "other", dataset_type="validation-items", dataset_name=f"{items} validation items",
            metric_type=name, metric_name=name, metric_value=value,
        )
        for name, value in scores.items()
    ]  # fmt: skip
    tags = ["onecycle", *(["multi-label"] if config["target"]["kind"] == "multi_category" else [])]
    return ModelCardData(
        library_name="onecycle", tags=tags, pipeline_tag=task, metrics=list(scores) or None,
        model_name=repo_id.rpartition("/")[2] if results else None, eval_results=results or None,
    )  # fmt: skip


def _introduction(config: Mapping[str, Any]) -> str:
    model, target = config["model"], config["target"]
    name = model.get("name") or model.get("backbone") or model["kind"]
    count = len(target.get("classes") or ())
    predicts = {
        "category": f"one of {count} classes", "multi_category": f"which of {count} tags apply",
        "mask": f"the class of each pixel, of {count}", "points": "the positions of points",
        "numbers": f"{count} numbers", "next_token": "the next token", "masked_token": "masked tokens",
    }.get(target["kind"], target["kind"])  # fmt: skip
    return f"It reads {config['modality']['kind']} and predicts {predicts}. Architecture: {_code(name)}."


def _use(repo_id: str) -> str:
    shell = f'pip install "onecycle[hub]"\nonecycle predict hf://{repo_id} INPUTS...'
    python = f'import onecycle as oc\n\nmodel = oc.from_hub("{repo_id}")\nprediction = model.predict(item)'
    said = "Only `config.json` and `model.safetensors` are read; no code from here runs."
    return f"## Use\n\n```sh\n{shell}\n```\n\n```python\n{python}\n```\n\n{said}"


def _classes(config: Mapping[str, Any]) -> str:
    classes: Sequence[Any] = config["target"].get("classes") or ()
    if not classes:
        return ""
    shown = ", ".join(map(_code, classes[:MOST_CLASSES]))
    return f"## Classes\n\n{shown}{f', and {len(classes) - MOST_CLASSES} more' if len(classes) > MOST_CLASSES else ''}"


def _scores(config: Mapping[str, Any]) -> str:
    card = config["card"]
    scores = _finite({"valid_loss": card.get("valid_loss"), **(card.get("metrics") or {})})
    if not scores:
        return ""
    items = card.get("validation_items")
    rows = [[_code(name), f"{value:.4f}"] for name, value in scores.items()]
    return (
        f"## Scores\n\nOn {items} validation items, which it was not trained on.\n\n{_table(['score', 'value'], rows)}"
    )


def _how_sure(config: Mapping[str, Any]) -> str:
    found = config["card"].get("calibration")
    if not found:
        return ""
    rows = [
        [name, *(f"{value:.3f}" for value in found[key])]
        for name, key in (("expected calibration error", "ece"), ("Brier score", "brier"))
    ]
    notes = "\n".join(f"- {one_line(note, 400)}" for note in found.get("notes", ()))
    table = _table(["", "before calibration", "after"], rows)
    return f"## How sure it is\n\nMeasured on {found['measured_on']} items.\n\n{table}\n\n{notes}".rstrip()


def _training(config: Mapping[str, Any]) -> str:
    card = config["card"]
    versions = ", ".join(f"{name} {value}" for name, value in config.get("packages", {}).items())
    facts = {
        "training items": card.get("training_items"), "validation items": card.get("validation_items"),
        "epochs": card.get("epochs"), "weights of epoch": card.get("epoch"), "seconds": card.get("seconds"),
        "seed": card.get("seed"), "machine": card.get("machine"), "date": card.get("date"),
        "precision": config.get("precision"), "versions": f"onecycle {config['onecycle']}, {versions}",
    }  # fmt: skip
    rows = [[name, one_line(value)] for name, value in facts.items() if value is not None]
    notes = "\n".join(f"- {one_line(note, 400)}" for note in card.get("notes") or ())
    return f"## Training\n\n{_table(['', ''], rows)}\n\n{notes}".rstrip()


def _finite(scores: Mapping[str, Any] | None) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in (scores or {}).items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: Any) -> str:
    """Return a name, which may hold anything, so that Markdown shows it as it is."""
    return f"`{one_line(text, 80).replace('`', chr(39)) or ' '}`"
