"""Writes two bundles in turn at one path until it is killed. Whichever is read, its tensors hold one number each."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import torch

from onecycle.bundle import write_bundle


def write_numbered(path: Path, number: int) -> None:
    tensors = {name: torch.full((20_000,), float(number)) for name in "abc"}
    write_bundle(path, tensors, {"kind": "numbered", "number": number})


if __name__ == "__main__":
    torch.set_num_threads(1)
    for turn in itertools.count():
        write_numbered(Path(sys.argv[1]), turn % int(sys.argv[2]))
        if turn == 0:
            print("written", flush=True)
