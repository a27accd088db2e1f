"""Kills processes that write to a journal at random moments; whatever they had acknowledged must be in it.

    python tests/crash/kill_journal_writers.py 100   # kills

Prints what was found, and ends with 1 if a judgement or an input was lost, or the journal could not be read.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path

from forked import kill_forked

from onecycle.review.journal import Journal


def write_endlessly(folder: Path, acknowledged: int, seed: int) -> None:
    journal, number = Journal(folder), 0
    while True:
        text = f"{seed} {number}"
        predicted = journal.record(text.encode(), name=text, suffix=".txt", model="m", predicted="pos")
        judged = journal.judge(predicted, "wrong", "neg")
        os.write(acknowledged, json.dumps([judged, text]).encode() + b"\n")
        number += 1


def kill_one(folder: Path, seed: int, seconds: float) -> list[list[str]]:
    """Return what a writer had acknowledged, (judgement, text), when it was killed.

    Every second one is killed some time after its first acknowledgement, however slow the machine is; the others also
    while they open the journal.
    """
    return kill_forked(lambda acknowledged: write_endlessly(folder, acknowledged, seed), seconds, after=seed % 2)


def main(kills: int) -> int:
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "model.journal"
        acknowledged = [line for seed in range(kills) for line in kill_one(folder, seed, rng.uniform(0, 0.1))]
        with Journal(folder) as journal:
            kept = {event["judgement"]: event for event in journal.events().to_pylist()}
            lost = [
                text for judged, text in acknowledged
                if judged not in kept or journal.input_path(kept[judged]["input"]).read_text() != text
            ]  # fmt: skip
            repeated = len(journal.corrections()) != sum(1 for event in kept.values() if event["judgement"])
    print(f"{kills} kills, {len(acknowledged)} acknowledged, {len(lost)} lost")
    return int(bool(lost) or repeated or not acknowledged)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
