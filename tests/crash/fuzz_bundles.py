"""Damages valid bundles at random, and loads a whole corpus of crafted ones: nothing but a `BundleError` may come out.

    python tests/crash/fuzz_bundles.py 10000            # mutated bundles, and every crafted one
    python tests/crash/fuzz_bundles.py 200 --crafted 0  # a short form

Prints two tables, and ends with 1 if any other exception escaped, a load gave other weights, or a trap was sprung.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import onecycle as oc
from onecycle.bundle import CONFIG, TENSORS, read_bundle
from ship.crafted_bundles import crafted, pack, seal
from ship.hostile_loads import load_all
from ship.tiny_bundles import MODELS, checkpoint
from ship.trapped_loading import checksum

ENDS = ("refused", "loaded identical", "loaded as sealed", "loaded other", "escaped")
Mutate = Callable[[bytes, random.Random], bytes]


def place(data: bytes, rng: random.Random) -> int:
    """Return a position: half of them near the beginning or the end, where headers are."""
    if rng.random() < 0.5:
        return rng.randrange(len(data))
    near = rng.randrange(min(2000, len(data)))
    return near if rng.random() < 0.5 else len(data) - 1 - near


def flip_bit(data: bytes, rng: random.Random) -> bytes:
    at = place(data, rng)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def other_bytes(data: bytes, rng: random.Random) -> bytes:
    at, length = place(data, rng), rng.choice((1, 2, 4, 8, 100))
    return data[:at] + rng.randbytes(length) + data[at + length :]


def extreme_number(data: bytes, rng: random.Random) -> bytes:
    at, number = place(data, rng), rng.choice((b"\0" * 4, b"\xff" * 4, b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\xff" * 8))
    return data[:at] + number + data[at + len(number) :]


def cut_short(data: bytes, rng: random.Random) -> bytes:
    return data[: place(data, rng)]


def cut_out(data: bytes, rng: random.Random) -> bytes:
    at = place(data, rng)
    return data[:at] + data[at + rng.randint(1, 500) :]


def insert(data: bytes, rng: random.Random) -> bytes:
    at = place(data, rng)
    return data[:at] + rng.randbytes(rng.randint(1, 500)) + data[at:]


def repeat(data: bytes, rng: random.Random) -> bytes:
    at, length = place(data, rng), rng.randint(1, 500)
    return data[: at + length] + data[at:]


def swap(data: bytes, rng: random.Random) -> bytes:
    first, second = sorted((place(data, rng), place(data, rng)))
    length = min(50, second - first)
    moved = data[second : second + length] + data[first + length : second] + data[first : first + length]
    return data[:first] + moved + data[second + length :]


def edit_text(data: bytes, rng: random.Random) -> bytes:
    """Change a letter, digit or bracket of the config."""
    texts = [
        at for at, letter in enumerate(data[-8000:], max(len(data) - 8000, 0)) if chr(letter) in '{}[]":,0123456789ab'
    ]
    if not texts:
        return flip_bit(data, rng)
    at = rng.choice(texts)
    return data[:at] + rng.choice([b"{", b"[", b'"', b"9", b",", b"}", b"e", b"null", b"-"]) + data[at + 1 :]


def seal_again(data: bytes, rng: random.Random) -> bytes:
    """Change the config, or the header of the tensors, and correct the checksums, so that what is changed is parsed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        config, weights = archive.read(CONFIG), archive.read(TENSORS)
    mutate = rng.choice(MUTATIONS)
    if rng.random() < 0.5:
        length = 8 + int.from_bytes(weights[:8], "little")
        weights = mutate(weights[:length], rng) + weights[length:]
    else:
        config = mutate(config, rng)
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        config = seal(json.loads(config), weights)
    buffer = io.BytesIO()
    pack(buffer, [(TENSORS, weights), (CONFIG, config)])
    return buffer.getvalue()


MUTATIONS: tuple[Mutate, ...] = (
    flip_bit, other_bytes, extreme_number, cut_short, cut_out, insert, repeat, swap, edit_text,
)  # fmt: skip


def load(path: Path, kind: str) -> str:
    """Return a checksum of the weights that a bundle gives."""
    if kind == "checkpoint":
        return checksum(read_bundle(path, "checkpoint")[0])
    return checksum(oc.load_model(path, device="cpu").model.state_dict())


def fuzz(count: int, seed: int, folder: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """Damage bundles `count` times; return how the loads ended by mutation, and what went wrong."""
    ends: dict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    kinds = [(kind, form) for kind in (*MODELS, "checkpoint") for form in (".onecycle", "")]
    content = {kind: made() for kind, made in (*MODELS.items(), ("checkpoint", checkpoint))}
    for number in range(count):
        kind, form = kinds[number % len(kinds)]
        mutate = (*MUTATIONS, seal_again)[number // len(kinds) % (len(MUTATIONS) + 1)]
        valid = folder / f"valid-{kind}{form}"
        if not valid.exists():
            content[kind].write(valid)
        rng = random.Random(f"{seed} {number}")
        path = folder / f"damaged{form}"
        target = copy_to(valid, path, rng)
        if mutate is seal_again:  # a folder as well becomes a zip
            path, target = folder / "sealed.onecycle", folder / "sealed.onecycle"
            content[kind].write(target)
        target.write_bytes(mutate(target.read_bytes(), rng))
        try:
            end = "loaded identical" if load(path, kind) == load_once(valid, kind) else "loaded other"
        except oc.BundleError as error:
            lines = str(error).split("\n")
            end = "refused" if len(lines) == 3 and lines[2].startswith("Fix: ") else "escaped"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            end = "escaped"
            wrong.append(f"{type(error).__name__}: {error}")
        if mutate is seal_again and end == "loaded other":
            end = "loaded as sealed"
        ends[mutate.__name__.replace("_", " ")][end] += 1
        if end in ENDS[3:]:
            wrong.append(f"number {number} of seed {seed}: {kind}{form}, {mutate.__name__}, {end}")
    return ends, wrong


def copy_to(valid: Path, path: Path, rng: random.Random) -> Path:
    """Copy a bundle, and return the file of the copy that is to be damaged."""
    if valid.is_file():
        shutil.copyfile(valid, path)
        return path
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(valid, path)
    return rng.choice(sorted(path.iterdir()))


_checksums: dict[Path, str] = {}


def load_once(valid: Path, kind: str) -> str:
    if valid not in _checksums:
        _checksums[valid] = load(valid, kind)
    return _checksums[valid]


def print_table(title: str, rows: dict[str, Counter[str]], columns: tuple[str, ...]) -> None:
    total: Counter[str] = sum(rows.values(), Counter())
    print("", f"| {title} | loads | {' | '.join(columns)} |", "|---|---|" + "---|" * len(columns), sep="\n")
    for name, counts in (*sorted(rows.items()), ("all", total)):
        print(
            f"| {name} | {counts.total():,} | {' | '.join(f'{counts[column]:,}' for column in columns)} |", flush=True
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="How many mutated bundles.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crafted", type=int, default=1, help="Every n-th crafted bundle; 0 for none.")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        ends, wrong = fuzz(options.count, options.seed, Path(folder))
        print_table("mutation", ends, ENDS)
        if options.crafted:
            outcome = load_all(list(crafted())[:: options.crafted], Path(folder), seconds=3600)
            rows: dict[str, Counter[str]] = defaultdict(Counter)
            for (kind, end), number in outcome.ends.items():
                rows[kind][end] += number
            print_table("attack", rows, ("refused", "loaded", "badly told", "escaped", "alarm"))
            print(f"\nMost memory beyond that of valid bundles: {outcome.more_megabytes} MB.")
            wrong += outcome.wrong
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
