"""How sure a model is, on data that was not used for fitting: calibration errors, coverage of sets, unfamiliar inputs.

argv: the folder of data sets (bench/README.md) [photos tags texts masks].
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import onecycle as oc
from common import RESULTS
from onecycle.inference.calibration import Calibration
from onecycle.train.calibrate import halves, measure
from onecycle.train.learner import Learner

SPLITS = 20
COVERAGES = (0.9, 0.95, 0.98)
PROMISED = {"ece": 0.05, "coverage": 0.03, "auroc": 0.99}


def monkeys(data: Path) -> Learner:
    """Ten species: 1,097 photos, of which 30% calibrate; the 272 of `validation` are measured."""
    bunch = (
        oc.ImageList.from_folder(data / "monkeys10/training").split_random(0.3, seed=0).label_from_folder()
        .add_test(oc.ImageList.from_folder(data / "monkeys10/validation"), labelled=True)
        .transform(128).databunch(64)
    )  # fmt: skip
    learner = oc.vision_learner(bunch, metrics=["accuracy"], callbacks=[oc.KeepBest("accuracy")], progress=False)
    learner.fine_tune(2)
    return learner


def tags(data: Path) -> Learner:
    """17 tags, 840 images: 30% calibrate, 20% are measured."""
    rows = (data / "landuse/tags.csv").read_text().splitlines()
    header, items = rows[0], sorted(rows[1:])
    random.Random(0).shuffle(items)
    place = Path(tempfile.mkdtemp())
    (place / "test.csv").write_text("\n".join([header, *items[:168]]) + "\n")
    (place / "rest.csv").write_text("\n".join([header, *items[168:]]) + "\n")

    def images(name: str) -> oc.ImageList:
        return oc.ImageList.from_csv(place / name, folder=data / "landuse/images", suffix=".jpg")

    bunch = (
        images("rest.csv").split_by_index(list(range(252))).label_from_column("tags", delimiter=" ", classes="all")
        .add_test(images("test.csv"), labelled=True).transform(128).databunch(64)
    )  # fmt: skip
    learner = oc.vision_learner(bunch, metrics=["f1"], callbacks=[oc.KeepBest("f1")], progress=False)
    learner.fine_tune(3)
    learner.tune_threshold()
    return learner


def texts(data: Path) -> Learner:
    """Film reviews: 600 train, 400 calibrate, 600 others are measured."""
    pairs: dict[str, list[tuple[str, str]]] = {"train": [], "valid": [], "test": []}
    for label in ("neg", "pos"):
        files = sorted((data / "aclImdb/train" / label).glob("*.txt"))
        random.Random(0).shuffle(files)
        for split, count in (("train", 300), ("valid", 200), ("test", 300)):
            pairs[split] += [(file.read_text(), label) for file in files[:count]]
            files = files[count:]
    both = pairs["train"] + pairs["valid"]
    split_list = oc.TextList.from_texts(*map(list, zip(*both, strict=True))).split_by_index(
        list(range(len(pairs["train"]), len(both)))
    )
    labelled = split_list.label_from_column("label").add_test(
        oc.TextList.from_texts(*map(list, zip(*pairs["test"], strict=True))), labelled=True
    )
    learner = oc.text_learner(labelled.tokenize().databunch(16), metrics=["accuracy"], progress=False)
    learner.fine_tune(1)
    return learner


def masks(data: Path) -> Learner:
    """CamVid: 267 images train, 100 calibrate, the 101 of `val` are measured. Half the size, as training is short."""
    place = Path(tempfile.mkdtemp())
    for folder, split in (("train", "train"), ("trainannot", "trainannot"), ("val", "test"), ("valannot", "testannot")):
        (place / split).symlink_to(data / "camvid" / folder)
    held = random.Random(0).sample(sorted(path.name for path in (place / "train").iterdir()), 100)
    bunch = (
        oc.ImageList.from_folder(place / "train").split_by(lambda path: path.name in held)
        .label_masks(
            lambda path: Path(f"{path.parent}annot") / f"{path.stem}.png", classes=data / "camvid/codes.txt",
            ignore="Void",
        )
        .add_test(oc.ImageList.from_folder(place / "test"), labelled=True).transform((180, 240)).databunch(8)
    )  # fmt: skip
    learner = oc.unet_learner(bunch, metrics=["pixel_accuracy"], progress=False)
    learner.fine_tune(4)
    return learner


CASES = {"photos": monkeys, "tags": tags, "texts": texts, "masks": masks}


def outputs_of(learner: Learner, split: str) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """Return names, probabilities and encoded labels."""
    predictions = learner.predict_all(split)
    encoded = torch.stack([learner.target.encode(one) for one in predictions.table["label"].to_pylist()])
    return predictions.table["item"].to_pylist(), predictions.probabilities, encoded


def calibration(learner: Learner) -> dict[str, Any]:
    """Return errors on the test items, before and after."""
    metric = learner.metrics[0].name
    scores = [learner.validate("test")[metric]]
    report = learner.calibrate()
    measured = measure(learner.state, "test")
    scores.append(learner.validate("test")[metric])
    result = {
        when: {"ece": one.ece, "brier": one.brier, metric: score}
        for when, one, score in zip(("before", "after"), (measured.before, measured.after), scores, strict=True)
    }
    temperatures = learner.target.temperatures
    return {
        **result, "items": measured.items, "temperatures": temperatures, "notes": list(report.notes),
        "own_measurement": [report.before.ece, report.after.ece],
    }  # fmt: skip


def coverage(learner: Learner, wanted: float, seeds: int = SPLITS) -> dict[str, Any]:
    """Return coverage and size of sets over random halves of the validation and test items together.

    Where the model itself is right more often than is asked for, so are sets, which always have the likeliest class.
    The temperature stays; one half gives the scores, the other one is measured.
    """
    parts = [outputs_of(learner, split) for split in ("valid", "test")]
    fitted = halves(parts[0][0])[0]
    kept = torch.ones(len(parts[0][0]), dtype=torch.bool)
    kept[fitted] = False  # these found the temperature
    probabilities = torch.cat([parts[0][1][kept], parts[1][1]])
    truth = torch.cat([parts[0][2][kept], parts[1][2]])
    scores = 1 - probabilities.gather(1, truth[:, None])[:, 0]
    found, sizes, worst, held = [], [], [], len(truth) // 2
    for seed in range(seeds):
        order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(seed))
        known, new = order[:held], order[held:]
        sets = Calibration(scores[known].sort().values).sets(probabilities[new], wanted)
        right = sets.gather(1, truth[new, None])[:, 0].double()
        found.append(float(right.mean()))
        sizes.append(float(sets.sum(1).double().mean()))
        worst.append(min(float(right[truth[new] == each].mean()) for each in truth.unique()))
    own = learner.predict_all("test", sets=wanted).table
    kept_right = [
        label in chosen for label, chosen in zip(own["label"].to_pylist(), own["set"].to_pylist(), strict=True)
    ]
    return {
        "held_back": held, "mean": float(np.mean(found)), "lowest": min(found), "highest": max(found),
        "classes_a_set": float(np.mean(sizes)), "worst_class": float(np.mean(worst)),
        "as_shipped": float(np.mean(kept_right)), "as_shipped_held_back": len(learner.state.calibration.scores),
    }  # fmt: skip


def auroc(low: np.ndarray, high: np.ndarray) -> float:
    """Return how often a value of `high` is above one of `low`."""
    return float(((high[:, None] > low[None]) + 0.5 * (high[:, None] == low[None])).mean())


def unfamiliar(learner: Learner, others: dict[str, list[Path]]) -> dict[str, Any]:
    """Return how well other domains are told from the test items, by features and by the highest probability."""
    known = learner.predict_all("test").table
    result: dict[str, Any] = {
        "threshold": learner.state.calibration.familiarity.threshold,
        "test items called unfamiliar": float(np.mean(known["unfamiliar"].to_pylist())),
    }
    for name, paths in others.items():
        table = learner.predict_all([str(path) for path in paths]).table
        result[name] = {
            "items": len(table),
            "auroc": auroc(known["unfamiliarity"].to_numpy(), table["unfamiliarity"].to_numpy()),
            "auroc of one minus the highest probability": auroc(
                1 - known["confidence"].to_numpy(), 1 - table["confidence"].to_numpy()
            ),
            "called unfamiliar": float(np.mean(table["unfamiliar"].to_pylist())),
        }
    return result


def domains(data: Path, own: str) -> dict[str, list[Path]]:
    """Return 100 images of each other data set."""
    folders = {
        "faces": data / "faces/images", "landuse": data / "landuse/images", "camvid": data / "camvid/val",
        "monkeys": data / "monkeys10/validation",
    }  # fmt: skip
    found = {name: sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
             for name, folder in folders.items() if name != own}  # fmt: skip
    return {name: random.Random(0).sample(paths, min(100, len(paths))) for name, paths in found.items()}


def main(data: Path, *cases: str) -> dict[str, Any]:
    path = RESULTS / "calibration.json"
    results: dict[str, Any] = {}
    for name in cases or CASES:
        torch.manual_seed(0)
        learner = CASES[name](data)
        row: dict[str, Any] = {"calibration": calibration(learner)}
        if name in ("photos", "texts"):
            row["sets"] = {f"{wanted:.0%}": coverage(learner, wanted) for wanted in COVERAGES}
        if name in ("photos", "tags"):
            row["unfamiliar"] = unfamiliar(learner, domains(data, "monkeys" if name == "photos" else "landuse"))
        before = json.loads(path.read_text()) if path.exists() else {}
        results = {**before, "promised": PROMISED, name: row}
        print(json.dumps({name: row}, indent=1), flush=True)
        path.write_text(json.dumps(results, indent=1) + "\n")
    return results


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
