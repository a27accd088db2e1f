"""Writes photos in folders as shards: WebDataset tars, and Parquet files in the layout of Hugging Face."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Member = tuple[str, bytes]


def photo_files(photos: Path) -> list[Path]:
    """All photos, those of different classes after one another, so that every shard holds some of each."""
    return sorted(photos.rglob("*.jpg"), key=lambda path: (int(path.stem.split("_")[1]), path.stem))


def write_tar(path: Path, members: Iterable[Member]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def members_of(files: Sequence[Path]) -> list[Member]:
    """Each photo and its label, in a file of the same name."""
    pairs = (
        [(f"{file.stem}.jpg", file.read_bytes()), (f"{file.stem}.cls", file.parent.name.encode())] for file in files
    )
    return [member for pair in pairs for member in pair]


def write_tars(photos: Path, folder: Path, *, shards: int = 4) -> Path:
    files = photo_files(photos)
    each = -(-len(files) // shards)
    for number in range(shards):
        write_tar(folder / f"photos-{number:03}.tar", members_of(files[number * each : (number + 1) * each]))
    return folder


def image_features(names: Sequence[str]) -> dict[str, Any]:
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def write_parquet(path: Path, images: Sequence[bytes | None], labels: Sequence[int], names: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    structs = pa.array(
        [{"bytes": data, "path": f"{number}.jpg"} for number, data in enumerate(images)],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    table = pa.table({"image": structs, "label": pa.array(labels, pa.int64())})
    pq.write_table(table.replace_schema_metadata(image_features(names)), path, row_group_size=4)
    return path


def write_parquets(photos: Path, folder: Path, *, shards: int = 4) -> Path:
    files = photo_files(photos)
    names = sorted({file.parent.name for file in files})
    each = -(-len(files) // shards)
    for number in range(shards):
        some = files[number * each : (number + 1) * each]
        path = folder / f"photos-{number:05}-of-{shards:05}.parquet"
        write_parquet(path, [f.read_bytes() for f in some], [names.index(f.parent.name) for f in some], names)
    return folder
