"""What a model in use predicted, and what people said about it: append-only, in SQLite, with the inputs beside it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa

from onecycle.disk import replacing, sync_folder
from onecycle.errors import DataError, counted
from onecycle.review.journal_files import not_an_export, read_events, write_events
from onecycle.review.versions import first_version

Verdict = Literal["right", "wrong", "unknown", "undo"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
DATABASE, INPUTS = "journal.sqlite", "inputs"
VERSION = 1
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,10})?")

# One statement each. Triggers keep every program, not only this one, from changing what was written.
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS predictions (
        number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, time TEXT NOT NULL, input TEXT NOT NULL,
        name TEXT NOT NULL, model TEXT NOT NULL, predicted TEXT NOT NULL CHECK (json_valid(predicted)),
        probabilities TEXT NOT NULL CHECK (json_valid(probabilities)))""",
    """CREATE TABLE IF NOT EXISTS judgements (
        number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, prediction TEXT NOT NULL REFERENCES predictions (id),
        time TEXT NOT NULL, verdict TEXT NOT NULL CHECK (verdict IN ('right', 'wrong', 'unknown', 'undo')),
        label TEXT CHECK (label IS NULL OR json_valid(label)))""",
    "CREATE INDEX IF NOT EXISTS judgements_of ON judgements (prediction)",
    *(
        f"CREATE TRIGGER IF NOT EXISTS no_{change}_of_{table} BEFORE {change} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        for table in ("predictions", "judgements")
        for change in ("UPDATE", "DELETE")
    ),
    f"PRAGMA user_version = {VERSION}",
)
# What is known of a prediction, beside it one judgement or none: the columns of `Journal.events` and of its files.
EVENTS = (
    "prediction", "time", "input", "name", "model", "predicted", "probabilities",
    "judgement", "judged", "verdict", "label",
)  # fmt: skip
_EVENTS = """
    SELECT p.id, p.time, p.input, p.name, p.model, p.predicted, p.probabilities, j.id, j.time, j.verdict, j.label
    FROM predictions p LEFT JOIN judgements j ON j.prediction = p.id {where}
    ORDER BY j.number IS NULL, j.number, p.number"""


class JournalError(DataError):
    """The journal's folder cannot be read or written."""


class Journal:
    """The predictions that people may judge, and every judgement, in the order in which they were made.

    What `record` and `judge` have returned is on the disk, whenever the process dies. Nothing is ever changed: taking a
    judgement back is a row of its own. Several threads and processes may write at the same time.

    Args:
        folder: Where it is, or will be made: `journal.sqlite`, and the inputs by their SHA-256 in `inputs/`.

    Example:
        >>> journal = oc.Journal("photos.journal")
        >>> pictured = journal.record(b"...", name="a.jpg", suffix=".jpg", model="0f3a", predicted="cat")
        >>> judged = journal.judge(pictured, "wrong", "dog")
        >>> journal.corrections().select(["name", "verdict", "predicted", "label"]).to_pylist()
        [{'name': 'a.jpg', 'verdict': 'wrong', 'predicted': 'cat', 'label': 'dog'}]
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.Lock()
        with self._explained():
            (self.folder / INPUTS).mkdir(parents=True, exist_ok=True)
            self._database = _open(self.folder / DATABASE)
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            self.close()
            raise DataError(
                f"The journal {self.folder} is of schema version {version}.", f"version {VERSION} or earlier.",
                "open it with the newer onecycle that wrote it: pip install --upgrade onecycle.",
            )  # fmt: skip

    def __repr__(self) -> str:
        predictions, judgements = self._count("predictions"), self._count("judgements")
        return f"Journal {self.folder}: {counted(predictions, 'prediction')}, {counted(judgements, 'judgement')}"

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_database"):  # it was opened
            self.close()

    def close(self) -> None:
        """Close the database; what was written is on the disk already."""
        self._database.close()

    # --- writing ---

    def record(
        self,
        content: bytes,
        *,
        name: str,
        suffix: str,
        model: str,
        predicted: Any,
        probabilities: dict[str, float] | None = None,
    ) -> str:
        """Write down a prediction, and return the id under which it can be judged.

        Args:
            content: The input: the bytes of a file, or a text in UTF-8.
            name: What the input is called; only shown, never used as a path.
            suffix: Of the file that the input is kept in, such as ".jpg"; ".txt" for texts; "" for none.
            model: The model's SHA-256.
            predicted: The label that was predicted, as JSON.
            probabilities: Of each class.
        Raises:
            DataError: The suffix is none, or what was predicted cannot be written as JSON.
            JournalError: The disk is full, or its folder cannot be written to.
        """
        if not _SUFFIX.fullmatch(suffix := suffix.lower()):
            raise DataError(f"suffix={suffix!r}.", "a dot and up to ten letters or digits.", 'pass ".jpg", or "".')
        said = _json("prediction", predicted), _json("probabilities", probabilities or {})
        shown = name.encode(errors="replace").decode()  # SQLite takes no half of a surrogate pair
        row = (secrets.token_hex(16), _now(), self._keep(content, suffix), shown, model, *said)
        self._insert([row], [])
        return row[0]

    def judge(self, prediction: str, verdict: Verdict, label: Any = None) -> str:
        """Write down what a person said about a prediction, and return the judgement's id.

        Args:
            prediction: The id that `record` returned.
            verdict: "right"; "wrong"; "unknown" for one who cannot tell; "undo" takes the last one back.
            label: What would have been right, where it is wrong and the person knows: a class, tags, numbers.
        Raises:
            DataError: There is no such prediction, no such verdict, or nothing to take back; or the label is what was
                predicted.
            JournalError: The disk is full, or its folder cannot be written to.
        """
        if verdict not in VERDICTS:
            raise DataError(f"verdict={verdict!r}.", f"one of: {', '.join(VERDICTS)}.", 'pass "right" or "wrong".')
        if label is not None and verdict != "wrong":
            raise DataError(
                f"A label, {label!r}, with the verdict {verdict!r}.", 'a label only where the verdict is "wrong".',
                "leave out the label.",
            )  # fmt: skip
        if not (events := self._events("WHERE p.id = ?", prediction)):
            raise DataError(
                f"There is no prediction {prediction!r}.", "the id of a prediction that was written to the journal.",
                "pass the id that came with the answer.",
            )  # fmt: skip
        if verdict == "undo" and not _standing(events):
            raise DataError(
                f"Nothing was said about the prediction {prediction}.", "a judgement to take back.", "judge it first."
            )
        if label is not None and same_label(label, json.loads(events[0]["predicted"])):
            raise DataError(
                f"The label {json.dumps(label)[:80]} with the verdict 'wrong' is what was predicted.",
                "another label, or none where it is not known.",
                'pass the verdict "right", or the label that is right.',
            )  # fmt: skip
        row = (secrets.token_hex(16), prediction, _now(), verdict, None if label is None else _json("label", label))
        self._insert([], [row])
        return row[0]

    def _keep(self, content: bytes, suffix: str) -> str:
        """Write an input under its checksum, unless it is there, and return its name below `inputs`."""
        digest = hashlib.sha256(content).hexdigest()
        key = f"{digest[:2]}/{digest}{suffix}"
        path = self.folder / INPUTS / key
        if not path.exists():
            with self._explained():
                path.parent.mkdir(exist_ok=True)
                with replacing(path) as part, part.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                sync_folder(path.parent)
        return key

    def _insert(self, predictions: Sequence[Sequence[Any]], judgements: Sequence[Sequence[Any]]) -> None:
        """Add rows in one transaction; those that are there already, by their id, stay as they are."""
        with self._lock, self._explained(), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for table, rows in (("predictions", predictions), ("judgements", judgements)):
                for row in rows:
                    marks = ", ".join("?" * len(row))
                    insert = f"INSERT INTO {table} VALUES (NULL, {marks}) ON CONFLICT (id) DO NOTHING"
                    self._database.execute(insert, row)

    # --- reading ---

    def events(self) -> pa.Table:
        """Return every judgement beside its prediction, oldest first; predictions that nobody judged come last.

        All columns are texts; predicted, probabilities and label are JSON, input is the file's name below `inputs`.
        """
        return pa.Table.from_pylist(self._events(), pa.schema([(name, pa.string()) for name in EVENTS]))

    def corrections(self) -> pa.Table:
        """Return the last word on each input that was judged, oldest first.

        Columns: path (of the kept input), name, verdict ("right", "wrong", "unknown"), predicted, label (what is right,
        as far as it is known), model (its SHA-256), time. Tags are lists, classes texts, and whatever else is JSON.
        """
        rows = _standing(self._events("WHERE j.id IS NOT NULL"))
        predicted = [json.loads(row["predicted"]) for row in rows]
        labels = [
            said if row["verdict"] == "right" else json.loads(row["label"] or "null")
            for row, said in zip(rows, predicted, strict=True)
        ]
        tags = bool(rows) and all(
            isinstance(said, list) and all(isinstance(t, str) for t in said) for said in predicted
        )
        columns = {name: pa.array([row[name] for row in rows], pa.string()) for name in ("name", "verdict", "model")}
        return pa.table({
            "path": pa.array([str(self.input_path(row["input"])) for row in rows], pa.string()),
            "name": columns["name"],
            "verdict": columns["verdict"],
            "predicted": _label_column(predicted, tags=tags),
            "label": _label_column(labels, tags=tags),
            "model": columns["model"],
            "time": pa.array([row["judged"] for row in rows], pa.string()),
        })  # fmt: skip

    def input_path(self, key: str) -> Path:
        """Return the file of an input that `events` names."""
        return self.folder.absolute() / INPUTS / key

    # --- from one machine to another ---

    def export(self, path: str | Path) -> Path:
        """Write all of it to a new file `.parquet`, the inputs inside; or to a new folder, with a CSV and the inputs.

        Raises:
            DataError: There is something at `path`.
        """
        return write_events(self.events(), self.folder / INPUTS, Path(path))

    def merge(self, path: str | Path) -> int:
        """Add another journal, or what it exported; return how many judgements are new. Merging again adds none.

        Raises:
            DataError: It is no export of a journal, or an input in it is damaged.
        """
        before = self._count("judgements")
        predictions, judgements = [], []
        for event, content in _with_contents(Path(path)):
            if self._keep(content, Path(event["input"]).suffix) != event["input"]:
                raise not_an_export(path, f"the input {event['input']} has another content")
            predictions.append([event[name] for name in EVENTS[:7]])
            if event["judgement"]:
                judgements.append([event[name] or None for name in ("judgement", "prediction", *EVENTS[8:])])
        try:
            self._insert(predictions, judgements)
        except sqlite3.IntegrityError as error:
            raise not_an_export(path, str(error)) from error
        return self._count("judgements") - before

    def _events(self, where: str = "", *values: str) -> list[dict[str, Any]]:
        rows = self._rows(_EVENTS.format(where=where), *values)
        return [dict(zip(EVENTS, row, strict=True)) for row in rows]

    def _count(self, table: str) -> int:
        return int(self._rows(f"SELECT COUNT(*) FROM {table}")[0][0])

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._lock, self._explained():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:  # of what is to be written, not of the journal
            raise
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f"The journal {self.folder} cannot be used: {str(error).rstrip('.')}.",
                "a folder that can be written to.",
                "check its permissions and the space on its disk, or name another folder.",
            ) from error  # fmt: skip


def journal_beside(bundle: str | Path) -> Path:
    """Return the folder of a model's journal, the same for all its versions.

    Example:
        >>> journal_beside("runs/photos/model.onecycle").name
        'model.journal'
    """
    return first_version(bundle).with_suffix(".journal")


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # NORMAL loses the last commits when the power fails
        database.execute("PRAGMA foreign_keys = ON")
        if not database.execute("PRAGMA user_version").fetchone()[0]:
            database.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                database.execute(statement)
            database.execute("COMMIT")
    except BaseException:
        database.close()
        raise
    return database


def same_label(label: Any, predicted: Any) -> bool:
    """Return whether two labels are the same one; of tags, in any order."""
    if isinstance(label, list) and isinstance(predicted, list):
        return len(label) == len(predicted) and all(tag in predicted for tag in label)
    return bool(label == predicted)


def _json(what: str, value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{value!r}: the {what} cannot be written as JSON: {error}.", "a class, tags or numbers.",
            "pass texts, finite numbers, and lists or dicts of them.",
        ) from None  # fmt: skip


def _with_contents(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield each event of a journal or of an export, with the content of its input."""
    if not (path / DATABASE).is_file():
        yield from read_events(path)
        return
    with Journal(path) as journal:
        for event in journal.events().to_pylist():
            try:
                yield event, journal.input_path(event["input"]).read_bytes()
            except OSError as error:
                raise not_an_export(path, f"{type(error).__name__}: {error}") from error


def _standing(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last word on each input, oldest first, after all judgements that were taken back."""
    said: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for number, event in enumerate(events):
        judgements = said.setdefault(event["prediction"], [])
        if event["verdict"] == "undo":
            del judgements[-1:]
        elif event["verdict"] is not None:
            judgements.append((number, event))
    last: dict[str, tuple[int, dict[str, Any]]] = {}
    for number, event in sorted(
        (judgements[-1] for judgements in said.values() if judgements), key=lambda pair: pair[0]
    ):
        last[event["input"]] = (number, event)
    return [event for _, event in sorted(last.values(), key=lambda pair: pair[0])]


def _label_column(labels: Sequence[Any], *, tags: bool) -> pa.Array:
    if tags:
        return pa.array(labels, pa.list_(pa.string()))
    texts = [label if isinstance(label, str) or label is None else json.dumps(label) for label in labels]
    return pa.array(texts, pa.string())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
