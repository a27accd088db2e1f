"""What learning from corrections promises, on real data. argv: folder of the data sets, folder for work [section ...].

A section trains the head of a model on some of the items, has it answer a stream of new ones as a model in use does,
judges every answer by its label, learns after some corrections, and counts what is right on items that nobody judged.
What changes in the stream: photos are of another camera; tags and texts are new items of the same source.
"""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

import onecycle as oc
from common import save

SEEDS = (1, 2, 3)
Item = tuple[Path, Any]  # a file and its label


def main(data: Path, work: Path, *names: str) -> None:
    for name in names or SECTIONS:
        rows = []
        for row in SECTIONS[name](data, work / name):
            print(f"{name}: {row}", flush=True)
            rows.append(row)
        save(f"corrections_learning_{name}", {"rows": rows})


@dataclass
class Stream:
    """New items that a model answers.

    Attributes:
        judged: Those whose answers people judge, in their order.
        others: Those that nobody judges.
        classes: Of the labels, for wrong answers.
    """

    judged: Sequence[Item]
    others: Sequence[Item]
    classes: Sequence[str]

    def judge(
        self, answers: Sequence[Any], folder: Path, corrections: int, wrong: float, seed: int
    ) -> tuple[oc.Journal, int]:
        """Judge answers until so many are corrected; return the journal, and how many were judged.

        Args:
            answers: What the model said of the items, as `predict_many` returns it.
            folder: For the journal.
            corrections: How many.
            wrong: Share of what is said that is wrong.
            seed: Decides which.
        """
        shutil.rmtree(folder, ignore_errors=True)
        journal, draw, corrected = oc.Journal(folder), random.Random(seed), 0
        for number, ((path, label), answer) in enumerate(zip(self.judged, answers, strict=True)):
            predicted = list(answer.label) if isinstance(label, list) else answer.label
            said = random_label(label, self.classes, draw) if draw.random() < wrong else label
            key = journal.record(
                path.read_bytes(), name=path.name, suffix=path.suffix, model=f"seed {seed}", predicted=predicted
            )
            right = set(said) == set(predicted) if isinstance(said, list) else said == predicted
            journal.judge(key, "right" if right else "wrong", None if right else said)
            corrected += not right
            if corrected == corrections:
                return journal, number + 1
        return journal, len(self.judged)

    def right(self, learner: oc.Learner) -> float:
        """Return the percentage of the items that nobody judged that are right, tags all of them."""
        answers = learner.predict_many(as_items(self.others))
        same = [
            set(one.label) == set(label) if isinstance(label, list) else one.label == label
            for one, (_, label) in zip(answers, self.others, strict=True)
        ]
        return 100 * float(np.mean(same))


def as_items(stream: Sequence[Item]) -> list[Any]:
    """Return what a learner predicts: of texts, a `str` is a text itself."""
    return [path if path.suffix == ".txt" else str(path) for path, _ in stream]


def random_label(label: Any, classes: Sequence[str], draw: random.Random) -> Any:
    """Return a label that is wrong: another class; of tags, one more or one less."""
    if isinstance(label, list):
        return sorted(set(label) ^ {draw.choice(classes)})
    return draw.choice([name for name in classes if name != label])


def rounds(
    learner: oc.Learner, stream: Stream, work: Path, seed: int, plan: Sequence[tuple[int, float]]
) -> Iterator[dict[str, Any]]:
    """Yield what each round does to the same model: so many corrections, and a share of wrong answers."""
    weights = learner.state.copy_weights()
    before, answers = stream.right(learner), learner.predict_many(as_items(stream.judged))
    for corrections, wrong in plan:
        learner.state.load_weights(weights)
        journal, judged = stream.judge(answers, work / "model.journal", corrections, wrong, seed)
        learned = learner.learn(journal)
        new = learned.new
        yield {
            "seed": seed, "corrections": corrections, "judged": judged, "wrong answers": wrong,
            "accepted": learned.accepted, "method": learned.method,
            "stream before": round(before, 1), "stream after": round(stream.right(learner), 1),
            "old points": round(learned.old.points, 2), "held back points": round(new.points, 2),
            "held back": new.items, "held back won, lost": [new.won, new.lost],
            "corrected right": round(100 * learned.corrected.after / learned.corrected.items),
            "metrics": {name: [round(one, 4) for one in pair] for name, pair in learned.metrics.items()},
            "seconds": round(learned.seconds, 2), "reason": learned.reason,
        }  # fmt: skip
        journal.close()
    learner.state.load_weights(weights)
    journal, judged = stream.judge(answers, work / "model.journal", plan[0][0], 0.0, seed)
    learned = learner.learn(journal, only_corrections=True)
    yield {
        "seed": seed, "corrections": plan[0][0], "judged": judged, "only corrections": True,
        "accepted": learned.accepted, "method": learned.method, "stream before": round(before, 1),
        "stream after": round(stream.right(learner), 1), "old points": round(learned.old.points, 2),
        "seconds": round(learned.seconds, 2), "reason": learned.reason,
    }  # fmt: skip
    learner.state.load_weights(weights)
    journal.close()


def photos(data: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Monkeys: 500 photos train, 150 validate; all others are the stream, as another camera takes them."""
    for seed in SEEDS:
        files = sorted((data / "monkeys10").glob("*/n*/*"))
        random.Random(seed).shuffle(files)
        old, new = files[:650], files[650:]
        folder = work / str(seed)
        shutil.rmtree(folder, ignore_errors=True)
        for place, path in enumerate(old):
            copy = (
                folder
                / ("valid" if place < 150 else "train")
                / path.parent.name
                / f"{path.parent.parent.name}_{path.name}"
            )
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        stream = [(other_camera(path, folder / "stream" / f"{place}.jpg", seed), path.parent.name)
                  for place, path in enumerate(new)]  # fmt: skip
        bunch = (
            oc.ImageList.from_folder(folder, include=["train", "valid"]).split_by_folder()
            .label_from_folder().transform(128).databunch(64, seed=seed)
        )  # fmt: skip
        learner = oc.vision_learner(bunch, progress=False)
        learner.fine_tune(0)
        classes = learner.data.classes
        yield from rounds(
            learner, Stream(stream[:-300], stream[-300:], classes), work, seed, [(25, 0.0), (100, 0.0), (100, 0.1)]
        )


def other_camera(path: Path, copy: Path, seed: int) -> Path:
    """Write a photo as a worse camera takes it: darker, yellow, soft, noisy and compressed."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    image = Image.open(path).convert("RGB")
    image.thumbnail((320, 320))
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(1.2)), np.float32)
    pixels = pixels * np.array([0.75, 0.65, 0.4], np.float32) + 10
    pixels += np.random.default_rng(seed).normal(0, 12, pixels.shape)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(copy, quality=40)
    return copy


def tags(data: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Land use, 17 tags: 360 images train, 120 validate, and the others are the stream."""
    for seed in SEEDS:
        lines = (data / "landuse" / "tags.csv").read_text().splitlines()[1:]
        rows = [line.split(",", 1) for line in lines]
        random.Random(seed).shuffle(rows)
        table = {name: found.strip('"') for name, found in rows}
        folder = data / "landuse" / "images"
        suffix = "" if (folder / rows[0][0]).exists() else ".jpg"
        import pyarrow as pa

        names = [name for name, _ in rows[:480]]
        bunch = (
            oc.ImageList.from_table(
                pa.table({"name": names, "tags": [table[name] for name in names]}), folder=folder, suffix=suffix
            )
            .split_by_index(range(120)).label_from_column("tags", delimiter=" ", classes="all")
            .transform(128).databunch(64, seed=seed)
        )  # fmt: skip
        learner = oc.vision_learner(bunch, progress=False)
        learner.fine_tune(0)
        learner.tune_threshold()
        stream = [(folder / f"{name}{suffix}", found.strip('"').split()) for name, found in rows[480:]]
        yield from rounds(
            learner, Stream(stream[:-150], stream[-150:], bunch.classes), work, seed, [(25, 0.0), (100, 0.0)]
        )


def texts(data: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Film reviews: 800 train, 300 validate, and 900 others are the stream."""
    for seed in SEEDS:
        files = sorted((data / "aclImdb" / "train").glob("*/*.txt"))
        random.Random(seed).shuffle(files)
        chosen = files[:1100]
        bunch = (
            oc.TextList.from_texts([path.read_text() for path in chosen], [path.parent.name for path in chosen])
            .split_by_index(range(300)).label_from_column("label").tokenize().databunch(16, seed=seed)
        )  # fmt: skip
        learner = oc.text_learner(bunch, progress=False).to_bf16()
        learner.fine_tune(1)
        stream = [(path, path.parent.name) for path in files[1100:2000]]
        yield from rounds(
            learner, Stream(stream[:-400], stream[-400:], bunch.classes), work, seed, [(25, 0.0), (50, 0.0)]
        )


SECTIONS: dict[str, Callable[[Path, Path], Iterator[dict[str, Any]]]] = {"photos": photos, "tags": tags, "texts": texts}

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
