"""How much a corrected item should count beside a confirmed one. argv: folder of the data sets, folder for work.

Photos as in corrections_learning.py, on features that are computed once: 500 of monkeys train a head and 150 validate
it, 300 of another camera are never judged, and the others are judged until so many answers were corrected. Five seeds;
every fifth judged answer is held back.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import onecycle as oc
from common import save
from corrections_learning import other_camera
from onecycle.train.cached_features import Features
from onecycle.train.judgements import Judgement
from onecycle.train.learn import _fitted, judged_features
from onecycle.train.learner import Learner

SEEDS, LR = (1, 2, 3, 4, 5), 0.0026
PLANS = ((25, 0.0), (100, 0.0), (100, 0.1))
WEIGHTS = (4, 2, 1)


def main(data: Path, work: Path) -> None:
    rows = []
    for row in measured(*features(data, work)):
        print(row, flush=True)
        rows.append(row)
    save("corrections_weights", {"rows": rows})


def features(data: Path, work: Path) -> tuple[Learner, Features, Features]:
    """Return a learner, and the features of all photos as they are and as another camera takes them."""
    files = sorted((data / "monkeys10").glob("*/n*/*"))
    copies = [other_camera(path, work / path.parent.name / f"{n}.jpg", 1) for n, path in enumerate(files)]
    images = oc.ImageList.from_folder(work).split_random(0.2, seed=1)
    learner = oc.vision_learner(images.label_from_folder().transform(128).databunch(64, seed=1), progress=False)
    learner.state.frozen_lr = LR

    def of(paths: list[Path]) -> Features:
        items = [Judgement(str(n), str(path), files[n].parent.name, False) for n, path in enumerate(paths)]
        return judged_features(learner.state, items, learner.model)

    return learner, of(files), of(copies)


def measured(learner: Learner, plain: Features, camera: Features) -> Iterator[dict[str, Any]]:
    for seed in SEEDS:
        order = list(range(len(plain.known)))
        random.Random(seed).shuffle(order)
        valid, train, judged, others = (torch.tensor(part) for part in (
            order[:150], order[150:650], order[650:-300], order[-300:],
        ))  # fmt: skip
        learner.state.seed = seed
        watched = rows_of(plain, valid)

        def fit(table: Features, watched: Features = watched) -> Any:
            return _fitted(learner.state, learner.model, table, watched).model.head.eval()

        before = fit(rows_of(plain, train))
        predicted = right(before, rows_of(camera, judged))[1]
        for corrections, wrong in PLANS:
            said, held = judge(camera.targets[judged], predicted, corrections, wrong, len(learner.data.classes), seed)
            answered = rows_of(camera, judged[: len(said)])
            corrected = said != predicted[: len(said)]
            for weight in WEIGHTS:
                counts = torch.where(corrected, weight, 1) * ~held
                places = torch.arange(len(said)).repeat_interleave(counts)
                table = Features(
                    torch.cat([plain.inputs[train], answered.inputs[places]]),
                    torch.cat([plain.targets[train], said[places]]), torch.ones(500 + len(places), dtype=bool), None,
                )  # fmt: skip
                after = fit(table)
                gained = [
                    float(100 * (right(after, of)[0].mean() - right(before, of)[0].mean()))
                    for of in (rows_of(camera, others), watched)
                ]
                yield {
                    "seed": seed, "corrections": corrections, "wrong answers": wrong, "weight": weight,
                    "stream points": round(gained[0], 1), "old points": round(gained[1], 1),
                }  # fmt: skip


def judge(
    labels: Tensor, predicted: Tensor, corrections: int, wrong: float, classes: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Return what people say of answers until so many are corrected, and which of them are held back."""
    draw, said = random.Random(seed), list[int]()
    for label, answer in zip(labels.tolist(), predicted.tolist(), strict=True):
        others = [other for other in range(classes) if other != label]
        said.append(draw.choice(others) if draw.random() < wrong else label)
        corrections -= said[-1] != answer
        if not corrections:
            break
    return torch.tensor(said), torch.tensor([draw.random() < 0.2 for _ in said])


def rows_of(features: Features, rows: Tensor) -> Features:
    return Features(features.inputs[rows], features.targets[rows], features.known[rows], None)


def right(head: torch.nn.Module, features: Features) -> tuple[Tensor, Tensor]:
    """Return which items are right, 0 or 1, and what is predicted."""
    with torch.inference_mode():
        predicted = head(features.inputs).argmax(1)
    return (predicted == features.targets).float(), predicted


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
