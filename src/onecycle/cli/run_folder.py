"""The folder of a training run: what was asked for, its checkpoints, and the lock that keeps a second run out."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from onecycle.cli.paths import check_writable
from onecycle.data.remote import address_of, is_remote
from onecycle.errors import DataError, some

if TYPE_CHECKING:
    from onecycle.ship.report.page import PreviousRun

CHECKPOINT, PREVIOUS, OPTIONS, LOCK = "last.ckpt", "last.1.ckpt", "run.json", ".lock"
ITEMS = "items.parquet"
# Options that may name a file or folder, relative to the data or to where one stands.
PATHS = ("labels", "valid", "test", "masks", "codes", "colours", "corrections")


class RunFolder:
    """The folder of a run.

    Attributes:
        path: The folder.
        checkpoint: Its newest checkpoint.
        previous_checkpoint: The one before it.
        trained: Whether an epoch was trained, so that the record of the run stays, whatever could be written.
    """

    def __init__(self, path: Path) -> None:
        self.trained = False
        self.path, self.checkpoint, self.previous_checkpoint = path, path / CHECKPOINT, path / PREVIOUS

    @property
    def unfinished(self) -> bool:
        """Whether there is a run that was interrupted, or is still going on."""
        return self.checkpoint.exists() and not self._read().get("finished")

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Check that the folder can be written to, and that nothing in it would be lost.

        Raises:
            DataError: It cannot, or it has a run or other files.
        """
        check_writable(self.path)
        is_begun = bool(self._read()) or self.checkpoint.exists()
        if overwrite or (resume and is_begun) or not _is_taken(self.path):
            return
        if self.unfinished:
            raise DataError(
                f"{self.path} has a run that is not finished.",
                "a new folder, or a decision about that run.",
                "add --resume to go on with it, --overwrite to begin anew, or pass another --out.",
            )
        raise DataError(
            f"{self.path} exists, with {some(sorted(entry.name for entry in self.path.iterdir()), 3)} in it.",
            "a new folder, since no run is overwritten unless that is asked for.",
            "pass another --out, leave it out for a numbered folder, or add --overwrite.",
        )

    def stored_options(self, data: Path, passed: dict[str, Any]) -> dict[str, Any]:
        """Return the options that the run was started with.

        Args:
            data: The data folder.
            passed: The options of this call that were given, by name.
        Raises:
            DataError: The run is finished, of other data, or was started with other options.
        """
        stored = self._read()
        if not stored and self.checkpoint.exists():
            raise DataError(
                *self._without_options(),
                "restore it, add --overwrite instead of --resume to begin anew, or pass another --out.",
            )
        if not stored:
            typer.echo(f"Note: {self.path} has no run yet: it begins with the options of this call.", err=True)
            return {}
        if stored.get("finished"):
            raise DataError(
                f"The run in {self.path} is finished.",
                "a run that was interrupted.",
                "leave --resume out, or pass the --out of another run.",
            )
        was = {"DATA": stored["data"], **stored["options"]}
        now = {"DATA": _place(data), **_stored(data, passed)}
        if was["DATA"] != now["DATA"]:
            raise DataError(
                f"The run in {self.path} was started on other data: DATA is {now['DATA']}, and was {was['DATA']}.",
                "the same data.",
                f"pass {shlex.quote(was['DATA'])} as the data, or start a new run with another --out.",
            )
        if other := [
            f"{name} is {value}, and was {was.get(name)}" for name, value in now.items() if value != was.get(name)
        ]:
            raise DataError(
                f"The run in {self.path} was started in another way: {'; '.join(other)}.",
                "the same data and options.",
                "leave the options out, they are taken from the run, or start a new run with another --out.",
            )
        options: dict[str, Any] = stored["options"]
        return options

    @contextmanager
    def used(self, data: Path, options: dict[str, Any]) -> Iterator[None]:
        """Write down what was asked for, and keep other runs out while the context lasts.

        Raises:
            DataError: Another run uses the folder.
        """
        from filelock import FileLock, Timeout

        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / LOCK)  # the system releases it, also when this process is killed
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise DataError(
                f"{self.path} is used by another run.", "a folder of its own for each run.", "pass another --out."
            ) from None
        with lock:
            self._write(data, options, finished=False)
            try:
                yield
            except Exception:  # not Ctrl-C and SIGTERM: --resume needs the options, also before the first checkpoint
                if not self.checkpoint.exists() and not self.trained:
                    for name in (OPTIONS, ITEMS):
                        (self.path / name).unlink(missing_ok=True)
                raise
            finally:
                (self.path / LOCK).unlink(missing_ok=True)
                with suppress(OSError):
                    for folder in made:
                        folder.rmdir()  # only where nothing was written

    def finish(self, scores: Mapping[str, float], seconds: float) -> None:
        """Note that the run came to its end, with its scores and time; delete the checkpoint before the last one."""
        self.previous_checkpoint.unlink(missing_ok=True)
        stored = self._read()
        self._write(Path(stored["data"]), stored["options"], finished=True, scores=dict(scores), seconds=seconds)

    def previous_run(self, options: Mapping[str, Any]) -> PreviousRun | None:
        """Return the finished run of the same name before this one, such as runs/photos of runs/photos-2."""
        from onecycle.ship.report.page import PreviousRun

        name, number = _parts_of(self.path.name)
        for other in range(number - 1, 0, -1):
            path = self.path.with_name(name if other == 1 else f"{name}-{other}")
            stored = RunFolder(path)._read()
            if stored.get("finished"):
                before = {"data": stored["data"], **stored["options"]}
                data = self._read().get("data", "")
                now = {"data": data, **_stored(Path(data), options)}
                return PreviousRun(str(path), stored.get("scores", {}), before, now)
        return None

    def read_options(self) -> tuple[Path, dict[str, Any]]:
        """Return the data folder and the options of the run.

        Raises:
            DataError: There is no run, it has no checkpoint, or its data is gone.
        """
        stored = self._read()
        if not stored and self.checkpoint.exists():
            raise DataError(*self._without_options(), "restore it, or train again with onecycle train.")
        if not stored:
            raise DataError(
                f"{self.path} has no run.",
                f"a folder that onecycle train wrote, with {OPTIONS} and {CHECKPOINT} in it.",
                "pass the --out of a run, such as runs/photos.",
            )
        data = Path(stored["data"])
        place = address_of(data) if is_remote(data) else str(data)
        if not self.checkpoint.exists():
            out = shlex.quote(str(self.path))
            fix = f"go on with it: onecycle train {shlex.quote(place)} --out {out} --resume"
            if stored.get("finished"):
                fix = f"restore it, or train again with the options in {OPTIONS}, --out {out} and --overwrite."
            raise DataError(
                f"The run in {self.path} has no checkpoint.", f"{CHECKPOINT} in it, as onecycle train writes it.",
                fix,
            )  # fmt: skip
        if not is_remote(data) and not data.exists():
            raise DataError(
                f"The data of the run in {self.path} is gone: {place}.", "the items that the model was trained on.",
                f"bring the data back to where it was, or write where it is now as \"data\" into "
                f"{self.path / OPTIONS}.",
            )  # fmt: skip
        return data, stored["options"]

    def _without_options(self) -> tuple[str, str]:
        """Return what is wrong where only the checkpoints are left of a run, and what is expected."""
        return (
            f"{self.path} has checkpoints, but its {OPTIONS}, which says how the run was started, is missing or "
            "damaged.",
            f"{OPTIONS} as onecycle train wrote it.",
        )

    def _read(self) -> dict[str, Any]:
        try:
            stored = json.loads((self.path / OPTIONS).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none, or another program's file of that name
            return {}
        known = isinstance(stored, dict) and isinstance(stored.get("options"), dict) and "data" in stored
        return stored if known else {}

    def _write(self, data: Path, options: dict[str, Any], *, finished: bool, **results: Any) -> None:
        stored = {
            "data": _place(data),
            "options": _stored(data, options),
            "finished": finished,
            **results,
        }
        part = self.path / f"{OPTIONS}.part"
        part.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        part.replace(self.path / OPTIONS)


def numbered_folder(data: Path, *, resume: bool, overwrite: bool) -> Path:
    """Return the folder of a run on some data where none is named: runs/NAME, else runs/NAME-2, and so on.

    Args:
        data: The data.
        resume: Return the newest run that is not finished, else the newest one.
        overwrite: Return the first, whatever is in it.
    """
    first = run_folder_of(data)
    taken = list(takewhile(_is_taken, _numbered(first)))
    if overwrite or not taken:
        return first
    unfinished = [path for path in taken if RunFolder(path).unfinished]
    if resume:
        return (unfinished or taken)[-1]
    if unfinished:
        typer.echo(f"Note: {unfinished[-1]} has a run that is not finished; --resume goes on with it.", err=True)
    return unused_folder(first)


def run_folder_of(data: Path) -> Path:
    """Return runs/NAME for data of that name."""
    file = data.is_file() or (is_remote(data) and data.suffix in (".csv", ".parquet", ".tar"))
    name = data.resolve().stem if file else data.resolve().name
    return Path("runs") / (name or "data")


def unused_folder(first: Path) -> Path:
    """Return `first`, or where something is in it already the next of its numbers in which nothing is."""
    return next(path for path in _numbered(first) if not _is_taken(path))


def _numbered(first: Path) -> Iterator[Path]:
    """Yield runs/photos, runs/photos-2, runs/photos-3, ..."""
    yield first
    yield from (first.with_name(f"{first.name}-{number}") for number in count(2))


def _parts_of(name: str) -> tuple[str, int]:
    """Return the name of a run without its number, and the number: 2 of photos-2, 1 of photos."""
    first, _, last = name.rpartition("-")
    return (first, int(last)) if first and last.isdecimal() and int(last) > 1 else (name, 1)


def _place(data: Path) -> str:
    """Return the whole path of the data, or its address."""
    return address_of(data) if is_remote(data) else str(data.resolve())


def _is_taken(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _stored(data: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as JSON; files where one stands by their whole paths, since one may stand elsewhere later."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    return {name: _whole_path(data, value) if name in PATHS else value for name, value in plain.items()}


def _whole_path(data: Path, value: Any) -> Any:
    """Return a path from where one stands as a whole one; a pattern such as masks/{stem}.png by the part before it."""
    if not isinstance(value, str) or is_remote(value):
        return value
    fixed = value.partition("{")[0]
    is_here = os.path.exists(fixed) and not os.path.exists(data / fixed)
    return str(Path.cwd() / value) if is_here else value
