"""Exported models against bundles on 200 real files of each kind. argv: folder [kind ...].

The folder has landuse, planet, camvid, faces, aclImdb and monkeys10. Each kind is trained for an epoch on 300 of its
items; then the bundle, and `onecycle.runtime` with the ONNX file, predict 200 others from their files.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import onecycle as oc
from common import RESULTS, run, save
from onecycle.runtime import load_model

TRAINED, COMPARED = 300, 200
SHARE = COMPARED / (TRAINED + COMPARED)
QUIET: dict[str, Any] = {"progress": False}


def drawn(items: Any) -> Any:
    """Return so many items, split."""
    return items.sample(TRAINED + COMPARED, seed=1).split_random(SHARE, seed=1)


def photos(folder: Path, backbone: str = "tf_efficientnet_lite0", **options: Any) -> oc.Learner:
    images = drawn(oc.ImageList.from_folder(folder / "monkeys10")).label_from_folder()
    size = 224 if backbone.endswith("_224") else 96  # which is all that a ViT of that name takes
    return oc.vision_learner(images.transform(size).databunch(16), backbone, **options, **QUIET)


def tags(folder: Path) -> oc.Learner:
    source = folder / "landuse"
    images = oc.ImageList.from_csv(source / "tags.csv", folder=source / "images", suffix=".jpg", missing="drop")
    labelled = drawn(images).label_from_column("tags", delimiter=" ", classes="all")
    return oc.vision_learner(labelled.transform(96).databunch(16), **QUIET)


def masks(folder: Path) -> oc.Learner:
    source = folder / "camvid"
    images = drawn(oc.ImageList.from_folder(source, include=["train", "val"]))
    pattern = f"{source}/{{folder}}annot/{{stem}}.png"
    labelled = images.label_masks(pattern, classes=source / "codes.txt", ignore="Void")
    return oc.unet_learner(labelled.transform((96, 128)).databunch(8), **QUIET)


def faces(folder: Path) -> Any:
    source = folder / "faces"
    return drawn(oc.ImageList.from_csv(source / "keypoints.csv", folder=source / "images", missing="drop"))


def points(folder: Path, **options: Any) -> oc.Learner:
    return oc.vision_learner(faces(folder).label_points("all").transform(96).databunch(16), **options, **QUIET)


def numbers(folder: Path) -> oc.Learner:
    labelled = faces(folder).label_numbers(["0", "1", "32", "33"])
    return oc.vision_learner(labelled.transform(96).databunch(16), **QUIET)


def texts(folder: Path) -> oc.Learner:
    labelled = drawn(oc.TextList.from_folder(folder / "aclImdb")).label_from_folder()
    return oc.text_learner(labelled.tokenize().databunch(8), **QUIET)


KINDS: dict[str, Callable[[Path], oc.Learner]] = {
    "photos": photos, "tags": tags, "masks": masks, "points": points, "numbers": numbers, "texts": texts,
    "points, numbers predicted": lambda folder: points(folder, head="regression"),
    **{
        f"photos, {name}": lambda folder, name=name: photos(folder, name, pretrained=False)  # type: ignore[misc]
        for name in ("resnet18", "mobilenetv3_small_100", "convnext_atto", "vit_tiny_patch16_224", "regnetx_002",
                     "efficientnet_b0", "densenet121")
    },
}  # fmt: skip


def compare(folder: Path, kind: str) -> dict[str, Any]:
    """Train one model, export it in both ways, and let both predict the same files."""
    learner = KINDS[kind](folder)
    learner.fit_one_cycle(1)
    work = Path(tempfile.mkdtemp())
    bundle = oc.load_model(learner.export(work / "model.onecycle"), device="cpu")
    onnx = load_model(learner.export(work / "model.onnx"))
    dataset = learner.data.valid.dataset
    files = [dataset.rows.located()[row] for row in range(len(dataset))]
    if kind == "tags":
        files += sorted((folder / "planet/sample").rglob("*.jpg"))  # satellite JPEGs that open as CMYK
    reference, exported = bundle.predict_many(files), onnx.predict_many(files)
    target = learner.data.target.kind
    found: dict[str, Any] = {"files": len(files), "proved": onnx.proof["largest_difference"]}
    found["unit"] = " pixels" if target in ("numbers", "points") else ""
    if target in ("numbers", "points"):
        return found | {"difference": apart([values(one.label) for one in reference],
                                            [values(one.label) for one in exported])}  # fmt: skip
    equal = sum(np.array_equal(one.label, other.label) for one, other in zip(reference, exported, strict=True))
    found["labels_equal"] = equal
    if target == "mask":
        found["pixels_other"] = sum(
            int((one.label != other.label).sum()) for one, other in zip(reference, exported, strict=True)
        )
        found["pixels"] = sum(one.label.size for one in reference)
        return found | {"difference": apart(bundle.probabilities(files).cpu().numpy(), onnx.probabilities(files))}
    return found | {"difference": apart([list(one.probabilities.values()) for one in reference],
                                        [list(one.probabilities.values()) for one in exported])}  # fmt: skip


def values(label: Any) -> Any:
    return list(label.values()) if isinstance(label, dict) else label


def apart(reference: Sequence[Any], exported: Sequence[Any]) -> float:
    """Return the largest difference."""
    return float(np.abs(np.asarray(reference, np.float64) - np.asarray(exported, np.float64)).max())


def main(folder: Path, kinds: Sequence[str]) -> None:
    path = RESULTS / "exports_real.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else {}
    for kind in kinds or KINDS:
        rows[kind] = run("exports_real.py", "one", folder, kind)
        print(kind, rows[kind], flush=True)
        save("exports_real", {"rows": rows})


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["one", folder, kind]:
            print(json.dumps(compare(Path(folder).absolute(), kind)))
        case [folder, *kinds]:
            main(Path(folder), kinds)
