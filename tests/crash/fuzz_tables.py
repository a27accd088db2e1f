"""Reads mutated tables in all ways. argv: how many. Exits with 1 where anything but our own error comes out."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from fuzzing import MUTATIONS, Case, main
from PIL import Image

import onecycle as oc
from onecycle.errors import DataError
from onecycle.recipes.layout import find_layout
from onecycle.recipes.options import FineTuneOptions

ROWS = 12


def table(separator: str) -> str:
    """Return a table of images with labels, tags, numbers, points and texts."""
    lines = [["image", "label", "tags", "x", "y", "text", "is_valid"]]
    for row in range(ROWS):
        tags = '"sky sea"' if row % 3 else "sky"
        text = f'"A film, number {row}; said ""good"""'
        lines.append([f"{row}.png", "ab"[row % 2], tags, f"{row}.5", f"{row % 5}", text, str(row % 4 == 0)])
    return "\n".join(separator.join(line) for line in lines) + "\n"


def doubled_column(text: str, rng: random.Random) -> bytes:
    head, rest = text.split("\n", 1)
    names = head.replace(rng.choice(("label", "tags", "x", "text")), rng.choice(("image", "label", "y", "#item", "")))
    return f"{names}\n{rest}".encode()


def other_encoding(text: str, rng: random.Random) -> bytes:
    text = text.replace("film", rng.choice(("Café", "映画", "фильм", "film")))
    encoding = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "utf-8-sig", "shift_jis", "koi8-r"))
    data = text.encode(encoding, errors="replace")
    return data[: len(data) - rng.choice((0, 0, 1, 2, 3))]


def other_delimiter(text: str, rng: random.Random) -> bytes:
    return text.replace(rng.choice(",;\t"), rng.choice(",;\t| \0\n")).encode()


def quotes(text: str, rng: random.Random) -> bytes:
    letters = list(text)
    for _ in range(rng.choice((1, 2, 5))):
        letters.insert(rng.randrange(len(letters)), rng.choice(('"', "'", '""', "\r", "\n", "\0", "\ufeff", "\\")))
    return "".join(letters).encode()


def lines(text: str, rng: random.Random) -> bytes:
    rows = text.split("\n")
    kept = rng.choice((rows[:1], [], rows[1:], rows * 2, rows[:2], ["", *rows], rows[::-1], [""] * 5, rows[:1] * 9))
    return rng.choice(("\n", "\r\n", "\r", "\n\n")).join(kept).encode()


def cells(text: str, rng: random.Random) -> bytes:
    rows = [line.split(",") for line in text.split("\n")]
    odd = (
        "",
        "nan",
        "inf",
        "1e999",
        "-",
        "../0.png",
        "/etc/passwd",
        "a" * 9000,
        "\0",
        "0.png\0",
        "NULL",
        "١٢",
        ".",
        "..",
    )
    for _ in range(rng.choice((1, 3, 20))):
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = rng.choice(odd)
    return "\n".join(",".join(row) for row in rows).encode()


def many_columns(text: str, rng: random.Random) -> bytes:
    count = rng.choice((100, 3000, 60_000))
    rows = text.rstrip("\n").split("\n")
    return "\n".join(
        row + "," + ",".join(f"c{n}" if not number else "1" for n in range(count))
        for number, row in enumerate(rows[:3])
    ).encode()


TEXT_MUTATIONS = (doubled_column, other_encoding, other_delimiter, quotes, lines, cells, many_columns)
KINDS = {"CSV": ",", "TSV": "\t", "CSV;": ";", "Parquet": ","}


def readers(path: Path, folder: Path, separator: str) -> list[Callable[[], object]]:
    """Return the ways in which a user's table is read; a mutated file counts as read where one of them reads it."""

    def images() -> oc.ImageList:
        return oc.ImageList.from_csv(path, folder=folder, separator=separator, missing="drop")

    def texts() -> oc.TextList:
        return oc.TextList.from_csv(path, separator=separator)

    return [
        lambda: images().split_random(0.25).label_from_column("label", classes="all"),
        lambda: images().split_random(0.25).label_from_column("tags", delimiter=" ", classes="all"),
        lambda: images().split_by_column("is_valid", valid="True").label_numbers(["x", "y"]),
        lambda: images().split_random(0.25).label_points(["x", "y"]).transform(8).databunch(2, workers=0, cache=None),
        lambda: images().split_random(0.25).label_points("all"),
        lambda: images().split_by_group("label").label_from_columns(["is_valid"]),
        lambda: oc.ImageList.from_csv(path, folder=folder).split_random(stratify="label"),
        lambda: texts().split_random(0.25).label_from_column("label", classes="all"),
        lambda: oc.TextList.from_csv(path, column="text", encoding="utf-16"),
        lambda: texts().split_random(0.25).label_numbers("x"),
        lambda: find_layout(folder, FineTuneOptions(labels=str(path), missing="drop")),
        lambda: find_layout(folder, FineTuneOptions(labels=str(path), missing="drop", column="label")),
    ]


def other_readers(path: Path, folder: Path) -> list[Callable[[], object]]:
    """Return the ways in which a list of names or classes is read."""
    return [
        lambda: oc.ImageList.from_folder(folder).split_from_file(path),
        lambda: oc.ImageList.from_folder(folder).split_random(0.25).label_masks("{parent}/{name}", classes=path),
    ]


def parquet(text: str) -> bytes:
    rows = [line.split(",") for line in text.rstrip("\n").split("\n")]
    columns = {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def case(number: int, folder: Path) -> Case:
    rng = random.Random(number)
    for row in range(ROWS):
        if not (folder / f"{row}.png").exists():
            Image.new("L", (9, 9), row).save(folder / f"{row}.png")
    kind = list(KINDS)[number % len(KINDS)]
    separator = KINDS[kind]
    text, path = table(separator), folder / "table.csv"
    mutations = MUTATIONS if kind == "Parquet" else (*MUTATIONS, *TEXT_MUTATIONS)
    mutate = mutations[number // len(KINDS) % len(mutations)]
    if mutate in MUTATIONS:
        data = bytearray(parquet(text) if kind == "Parquet" else text.encode())
        mutate(data, rng)
        path.write_bytes(data)
    else:
        path.write_bytes(mutate(text, rng))

    def read() -> None:
        refusals: list[DataError] = []
        ways = readers(path, folder, separator)
        with redirect_stdout(sys.stderr):  # what was found in a table is printed, and results come from the output
            for way in ways:
                try:
                    way()
                except DataError as error:
                    refusals.append(error)
            for way in other_readers(path, folder):
                with suppress(DataError):
                    way()
        if len(refusals) == len(ways):
            raise refusals[0]

    return kind, mutate.__name__, read


if __name__ == "__main__":
    if len(sys.argv) == 4:
        with suppress(DataError):
            case(0, Path(sys.argv[3]))[2]()  # what is loaded at first use
    main(__file__, case, 1_000_000_000)
