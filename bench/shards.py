"""Images a second from shards against the same files in folders, and the memory of the main process.

argv: [images]. Ten thousand small JPEGs are drawn, and lie once in folders, once in ten WebDataset tars, and once in
ten Parquet files with groups of 100 rows, as Hugging Face writes them; where `datasets` is installed, these are also
streamed. Every measurement has a process of its own, which goes twice through the shuffled training images without
training; all kinds take turns, and ratios are taken within a turn. Files come from the system's page cache.

- Images a second: of the second epoch, whose workers have started.
- Processor: milliseconds of all processes together for an image of that epoch, which other work disturbs less.
- Memory: what the main process holds alone (USS) after the first batch, and how much it grows from there to the end.
"""

from __future__ import annotations

import importlib.util
import io
import json
import statistics
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from common import run, save

COUNT, SHARDS, CLASSES, PIXELS, SIZE, BATCH, GROUP = 10_000, 10, 10, 160, 128, 64, 100
REPEATS, WORKERS = 3, (0, 2)
KINDS = ("folders", "tars", "parquet", "stream")


def write(folder: Path, count: int) -> None:
    """Write all kinds, the images in one random order."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    rng = np.random.default_rng(0)
    metadata = {"image": {"_type": "Image"}, "label": {"names": list("0123456789"), "_type": "ClassLabel"}}
    for kind in KINDS[:3]:
        (folder / kind).mkdir()
    for label in range(CLASSES):
        (folder / "folders" / str(label)).mkdir()
    each = count // SHARDS
    for shard in range(SHARDS):
        rows: list[dict[str, Any]] = []
        with tarfile.open(folder / f"tars/{shard:03}.tar", "w") as tar:
            for number in range(shard * each, (shard + 1) * each):
                label = int(rng.integers(CLASSES))
                coarse = Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8))
                buffer = io.BytesIO()
                coarse.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
                (folder / f"folders/{label}/{number:06}.jpg").write_bytes(buffer.getvalue())
                for suffix, content in (("jpg", buffer.getvalue()), ("cls", str(label).encode())):
                    member = tarfile.TarInfo(f"{number:06}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
                rows.append({"image": {"bytes": buffer.getvalue(), "path": f"{number:06}.jpg"}, "label": label})
        table = pa.Table.from_pylist(rows)
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": metadata}})})
        pq.write_table(table, folder / f"parquet/{shard:03}.parquet", row_group_size=GROUP)


def images_of(kind: str, folder: Path) -> Any:
    import onecycle as oc

    if kind == "folders":
        return oc.ImageList.from_folder(folder / kind)
    if kind == "tars":
        return oc.ImageList.from_shards(folder / kind, label="cls")
    if kind == "parquet":
        return oc.ImageList.from_shards(folder / kind, label="label")
    if kind == "mapped":
        return oc.ImageList.from_parquet(folder / "parquet")
    import datasets

    files = sorted(map(str, (folder / "parquet").iterdir()))
    cache = str(folder / "cache")
    stream = datasets.load_dataset("parquet", data_files=files, streaming=True, split="train", cache_dir=cache)
    return oc.ImageList.from_shards(stream, label="label")


def measure(kind: str, folder: Path, workers: int) -> dict[str, float]:
    start = time.perf_counter()
    split = images_of(kind, folder).split_random(0.01)
    labelled = (
        split.label_from_folder()
        if kind == "folders"
        else split.label_from_column("cls" if kind == "tars" else "label")
    )
    bunch = labelled.transform(SIZE).databunch(BATCH, workers=workers, cache=None)
    batches = iter(bunch.train.epoch(0))
    next(batches)
    seconds, held = time.perf_counter() - start, uss()
    for _ in batches:
        pass
    start, used, count = time.perf_counter(), processor_seconds(), 0
    for batch in bunch.train.epoch(1):
        count += len(batch)
    return {
        "images_per_second": count / (time.perf_counter() - start),
        "processor_ms": (processor_seconds() - used) / count * 1000,
        "first_batch_seconds": seconds, "held_mb": held, "grown_mb": uss() - held,
    }  # fmt: skip


def processor_seconds() -> float:
    """Return what this process and its workers have used."""
    here = psutil.Process()
    times = [one.cpu_times() for one in (here, *here.children())]
    return sum(one.user + one.system for one in times)


def uss() -> float:
    return float(psutil.Process().memory_full_info().uss / 2**20)


def main(count: int) -> None:
    kinds = KINDS if importlib.util.find_spec("datasets") else KINDS[:3]
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), count)
        found: dict[str, list[dict[str, float]]] = {}
        for turn in range(REPEATS):
            for workers in WORKERS:
                for kind in kinds if workers == 0 else kinds[:3]:
                    one = run("shards.py", "measure", kind, place, workers, threads=1)
                    found.setdefault(f"{kind}, {workers} workers", []).append(one)
                    print(turn, kind, workers, {name: round(value, 1) for name, value in one.items()}, flush=True)
    save("shards", {"images": count, "pixels": PIXELS, "size": SIZE, "runs": found, "medians": medians(found)})


def medians(found: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the medians of each kind, and of its ratios to the folders in the same turn."""
    result = {}
    for name, runs in found.items():
        folders = found[f"folders, {name.split(', ')[1]}"]
        result[name] = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        for key in ("images_per_second", "processor_ms"):
            ratios = [one[key] / other[key] for one, other in zip(runs, folders, strict=True)]
            result[name][f"{key}_to_folders"] = statistics.median(ratios)
    return result


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else COUNT)
