"""Loads crafted bundles in a process with traps, and says which loads ended otherwise than they should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ship.crafted_bundles import Crafted, content, write_all
from ship.tiny_bundles import MODELS

TRAPPED = Path(__file__).with_name("trapped_loading.py")


class Outcome(NamedTuple):
    """How the loads ended.

    Attributes:
        ends: How many ended how, by the kind of the attack.
        wrong: What should not have ended so, in words.
        more_megabytes: The most memory beyond that of loading valid bundles.
    """

    ends: Counter[tuple[str, str]]
    wrong: list[str]
    more_megabytes: int


def load_all(chosen: list[Crafted], folder: Path, seconds: int = 900) -> Outcome:
    """Write crafted bundles below a folder, and load each in one process with traps."""
    written = write_all(folder / "crafted", chosen)
    warm = [str(content(kind).write(folder / f"{kind}.onecycle")) for kind in MODELS]
    listed = folder / "list.txt"
    listed.write_text("\n".join(written))
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "0", "TMPDIR": tempfile.gettempdir()}
    done = subprocess.run(
        [sys.executable, TRAPPED, str(listed), *warm],
        capture_output=True, text=True, env=environment, timeout=seconds, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    loads = [json.loads(line) for line in done.stdout.splitlines()]
    ends: Counter[tuple[str, str]] = Counter()
    wrong = [] if len(loads) == len(written) else [f"ended after {len(loads)} loads: {done.stderr[-1000:]}"]
    for load in loads:
        one = written[load["path"]]
        ends[one.name.split(":")[0], load["end"]] += 1
        if load["end"] not in (("refused", "loaded") if one.harmless else ("refused",)):
            wrong.append(f"{one.name}: {load['end']}, {load['message']}")
    return Outcome(ends, wrong, max((load["more_megabytes"] for load in loads), default=0))
