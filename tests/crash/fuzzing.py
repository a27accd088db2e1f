"""What the fuzz scripts share: mutations of bytes, processes that try them, and the table of what came of it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from onecycle.errors import OnecycleError

PER_PROCESS, SLOW_SECONDS = 2000, 60
RESULTS = ("read", "refused", "escaped")

# A case: the kind of file, the mutation, and what reads the mutated file.
Case = tuple[str, str, Callable[[], object]]


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite_head(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 4))):
        data[rng.randrange(min(len(data), 200))] = rng.randrange(256)


def large_number(data: bytearray, rng: random.Random) -> None:
    """Write a number that may be a size, a count or an offset."""
    place, size = rng.randrange(min(len(data), rng.choice((64, 400, 10**9)))), rng.choice((1, 2, 4))
    value = rng.choice((0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size) - 1, 10_000, 40_000, 16_383)) % 2 ** (8 * size)
    data[place : place + size] = value.to_bytes(size, rng.choice(("little", "big")))


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def remove(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    del data[place : place + rng.choice((1, 2, 16, 300))]


def insert(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    data[place:place] = rng.randbytes(rng.choice((1, 2, 16, 300)))


def repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    part = data[start : start + rng.randrange(1, 400)]
    data[start:start] = part * rng.choice((1, 3, 50))


def zero(data: bytearray, rng: random.Random) -> None:
    place, length = rng.randrange(len(data)), rng.choice((1, 4, 64, 1000))
    data[place : place + length] = bytes(len(data[place : place + length]))


MUTATIONS = (flip, overwrite_head, large_number, cut, remove, insert, repeat, zero)


def peak_memory(*, reset: bool = False) -> int:
    """Return the most bytes that this process has held since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main(script: str, case: Callable[[int, Path], Case], memory: int) -> None:
    """Try as many cases as argv says; print a table, and exit with 1 if anything escaped.

    Args:
        script: The script's path; processes of it try `PER_PROCESS` cases each.
        case: Returns the case of a number, written below a folder.
        memory: Bytes that one case may take.
    """
    if len(sys.argv) == 4:
        return _try(case, int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), memory)
    count = int(sys.argv[1])
    found: Counter[tuple[str, str, str]] = Counter()
    escapes: Counter[str] = Counter()
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"fuzz.{os.getpid()}"
    folder.mkdir()
    for start in range(0, count, PER_PROCESS):
        part = min(PER_PROCESS, count - start)
        process = subprocess.run(
            [sys.executable, script, str(start), str(part), str(folder)], capture_output=True, text=True
        )
        lines = [json.loads(line) for line in process.stdout.splitlines()]
        for number, kind, mutation, result, what in lines:
            found[kind, mutation, result] += 1
            if result == "escaped":
                escapes[what] += 1
                print(f"case {number}, {kind}, {mutation}: {what}", flush=True)
        if process.returncode:
            last = lines[-1][0] if lines else start - 1
            escapes[f"the process ended with {process.returncode} after case {last}"] += 1
            print(process.stderr[-2000:])
    _print_table(found)
    for what, times in escapes.most_common():
        print(f"{times:6,} x {what}")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    sys.exit(1 if escapes else 0)


def _try(case: Callable[[int, Path], Case], start: int, count: int, folder: Path, memory: int) -> None:
    import faulthandler

    warnings.simplefilter("ignore")
    for number in range(start, start + count):
        faulthandler.dump_traceback_later(SLOW_SECONDS, exit=True)
        kind, mutation, read = case(number, folder)
        before = peak_memory(reset=True)
        result, what = "read", ""
        try:
            read()
        except OnecycleError as error:
            result = "refused" if str(error).count("\nExpected ") == 1 and "\nFix: " in str(error) else "escaped"
            what = "an error of other than three parts"
        except Exception as error:
            result, what = "escaped", f"{type(error).__name__}: {str(error)[:150]}"
        taken = peak_memory() - before
        if taken > memory:
            result, what = "escaped", f"{taken / 1e6:,.0f} MB"
        print(json.dumps([number, kind, mutation, result, what]), flush=True)
    faulthandler.cancel_dump_traceback_later()


def _print_table(found: Counter[tuple[str, str, str]]) -> None:
    print("| file | mutation | " + " | ".join(RESULTS) + " |\n|---|---|" + "---|" * len(RESULTS))
    for kind, mutation in sorted({key[:2] for key in found}):
        print(f"| {kind} | {mutation} | " + " | ".join(f"{found[kind, mutation, one]:,}" for one in RESULTS) + " |")
    sums = [sum(count for key, count in found.items() if key[2] == one) for one in RESULTS]
    print(f"| all {sum(sums):,} | | " + " | ".join(f"{one:,}" for one in sums) + " |", flush=True)
