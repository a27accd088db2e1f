"""Kills processes that write down a review's decisions at random moments; whatever was acknowledged must be there.

    python tests/crash/kill_reviewers.py 100   # kills

Prints what was found, and ends with 1 if a decision was lost, or what was written could not be read.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from forked import kill_forked

import onecycle as oc
from onecycle.review.cards import Card, Item
from onecycle.review.decisions import CORRECTIONS, Decisions
from onecycle.review.pool import PoolJudgements
from onecycle.review.session import Review
from review.review_cards import DATASET, NAMES

CHOICES = ("keep", "relabel", "remove")


def open_review(folder: Path) -> Review:
    judgements = PoolJudgements(oc.Journal(folder / "model.journal"), "m")
    review = Review(Decisions(oc.Corrections.open(folder / CORRECTIONS), judgements), [])
    for split, kind in (("train", "mistakes"), ("pool", "pool")):
        items = [Item(DATASET, row, split, "dog") for row in range(len(NAMES))]
        review.queue.add([Card.of_item(kind, 0.0, item, "") for item in items])
    return review


def decide_endlessly(folder: Path, acknowledged: int, seed: int) -> None:
    """Decide as the server does, and say so as it answers: only once the decision is made."""
    review, rng = open_review(folder), random.Random(seed)
    while True:
        split, name = rng.choice(("train", "pool")), rng.choice(NAMES)
        choice = rng.choice(CHOICES)
        os.write(acknowledged, json.dumps(["begun", split, name, choice]).encode() + b"\n")
        review.decide("tab", f"{split}/{name}", choice, "cat" if choice == "relabel" else None)
        if rng.random() < 0.3:
            review.undo("tab")
            review.decide("tab", f"{split}/{name}", choice, "cat" if choice == "relabel" else None)
        os.write(acknowledged, json.dumps(["made", split, name, choice]).encode() + b"\n")


def kill_one(folder: Path, seed: int, seconds: float) -> list[list[str]]:
    """Return what was begun and made, when the process was killed: one decision at least is made."""
    return kill_forked(lambda acknowledged: decide_endlessly(folder, acknowledged, seed), seconds, after=2)


def decided(folder: Path) -> dict[tuple[str, str], str]:
    """Return what is written down about each item."""
    verdicts = {"right": "keep", "wrong": "relabel", "unknown": "remove"}
    found: dict[tuple[str, str], str] = {}
    if (folder / CORRECTIONS).exists():
        for row in oc.Corrections.read(folder / CORRECTIONS).standing().to_pylist():
            found["train", row["item"]] = row["decision"]
    with oc.Journal(folder / "model.journal") as journal:
        for row in journal.corrections().to_pylist():
            found["pool", row["name"]] = verdicts[row["verdict"]]
    return found


def main(kills: int) -> int:
    rng = random.Random(0)
    acknowledged, lost = 0, 0
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        expected: dict[tuple[str, str], str] = {}
        for row, name in enumerate(NAMES):  # the new items, which the journal keeps
            (folder / name).write_text(f"pixels {row}")
        object.__setattr__(DATASET.rows, "root", folder)
        for seed in range(kills):
            events = kill_one(folder, seed, rng.uniform(0, 0.15))
            begun = {(split, name) for what, split, name, _ in events[-1:] if what == "begun"}
            made = {(split, name): choice for what, split, name, choice in events if what == "made"}
            acknowledged += sum(what == "made" for what, *_ in events)
            expected |= made
            found = decided(folder)
            lost += sum(found.get(item) != choice for item, choice in expected.items() if item not in begun)
            for item in begun:  # it may be there or not
                if item in found:
                    expected[item] = found[item]
                else:
                    expected.pop(item, None)
    print(f"{kills} kills, {acknowledged} acknowledged, {lost} lost")
    return int(bool(lost) or not acknowledged)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
