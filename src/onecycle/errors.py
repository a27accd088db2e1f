"""Errors that say what happened, what was expected, and how to fix it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class OnecycleError(Exception):
    """Base of every error that onecycle raises on purpose.

    Args:
        what: What happened, with the value that was received.
        expected: What would have been right.
        fix: The next thing to do.
        shell_fix: The same for the command line, where `fix` names what Python alone has; options that both have are
            translated there.
        can_skip: Whether this is about one item, which training can leave out: the last thing to do, where one trains.
    Example:
        >>> try:
        ...     oc.ImageList.from_folder("nowhere")
        ... except oc.OnecycleError as error:
        ...     print(error)
        No such folder: nowhere.
        Expected a folder with images in it.
        Fix: check the path.
    """

    def __init__(
        self, what: str, expected: str, fix: str, *, shell_fix: str | None = None, can_skip: bool = False
    ) -> None:
        super().__init__(what, expected, fix)
        self.what, self.expected, self.fix, self.shell_fix, self.can_skip = what, expected, fix, shell_fix, can_skip

    def __str__(self) -> str:
        return f"{self.what}\nExpected {self.expected}\nFix: {with_skipping(self.fix) if self.can_skip else self.fix}"


def with_skipping(fix: str) -> str:
    """Return what to do about an item that cannot be read, and that training can leave it out."""
    return f"{fix.removesuffix('.')}, or pass on_bad_item='skip' to leave it out."


class DataError(OnecycleError, ValueError):
    """The files, the table or the labels are not what the call needs."""


class ModelError(OnecycleError, ValueError):
    """A backbone, a metric, a callback or another part cannot be used as asked."""


class CallError(ModelError, TypeError):
    """A call with arguments that the function does not take."""


class MissingAttributeError(OnecycleError, AttributeError):
    """An object does not have such a method: another stage of the data block has it, or it has another name."""


class BundleError(OnecycleError, ValueError):
    """A saved model or checkpoint cannot be written, or is not one that can be trusted."""


class TrainingError(OnecycleError, RuntimeError):
    """Training cannot go on; the learner holds the last good weights."""


class WorkerError(OnecycleError, RuntimeError):
    """A process that reads items died, or reading failed in it; the next call starts new processes."""


class SkippedItemWarning(UserWarning):
    """An item cannot be read, and is left out."""


class StopTraining(Exception):  # noqa: N818  it is a signal, not an error
    """Raise this in a callback to end training now; the reason is kept in the history.

    Example:
        >>> class OneEpoch(oc.Callback):
        ...     def on_epoch_end(self, state, event):
        ...         raise oc.StopTraining("one is enough")
        >>> learner = oc.Learner(bunch, model, callbacks=[OneEpoch()], progress=False)
        >>> learner.fit(3, lr=1e-3)
        >>> learner.history.notes
        ['stopped after epoch 1: one is enough']
    """

    def __init__(self, reason: str = "stopped by a callback") -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def naming_item(number: int, count: int) -> Iterator[None]:
    """Say in an error about one of several items which one it is.

    Example:
        >>> with naming_item(3, count=5):
        ...     raise DataError("It is empty.", "a word.", "leave it out.")
        Traceback (most recent call last):
        onecycle.errors.DataError: items[3]: It is empty.
        Expected a word.
        Fix: leave it out.
    """
    try:
        yield
    except DataError as error:
        if count == 1:
            raise
        raise naming(error, f"items[{number}]") from error


def naming(error: DataError, name: str) -> DataError:
    """Return an error with the name of what it is about in front."""
    what = f"{name}: {error.what}"
    return DataError(what, error.expected, error.fix, shell_fix=error.shell_fix, can_skip=error.can_skip)


def users_level() -> int:
    """Return the `stacklevel` at which a warning points at the line outside of onecycle that led to it."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "onecycle":
        level, frame = level + 1, frame.f_back
    return level


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the known name nearest to `name`, or an empty string.

    Example:
        >>> suggest("acuracy", ["accuracy", "f1"])
        " Did you mean 'accuracy'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def some(values: Iterable[object], most: int = 5) -> str:
    """Return the first few of `values` as text, with a count of the rest.

    Example:
        >>> some(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    listed = [str(value) for value in values]
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def counted(count: int, what: str, verb: tuple[str, str] | None = None, *, of: int | None = None) -> str:
    """Return a count, of how many, and what is counted; where there is a verb its form for one or for several.

    Example:
        >>> counted(1, "item"), counted(1200, "item"), counted(2, "class"), counted(1, "row", ("has", "have"))
        ('1 item', '1,200 items', '2 classes', '1 row has')
        >>> counted(1, "row", ("has", "have"), of=12)
        '1 of 12 rows has'
    """
    plural = "es" if what.endswith("s") else "s"
    said = f"{count:,}{'' if of is None else f' of {of:,}'} {what}{'' if (of or count) == 1 else plural}"
    return said if verb is None else f"{said} {verb[count != 1]}"


def check_count(count: object, what: str = "items") -> None:
    """Refuse a table or picture of nothing.

    Raises:
        DataError: `count` is no whole number, or below 1.
    """
    if not isinstance(count, int) or count < 1:
        quoted = isinstance(count, str) and count.isdecimal()
        fix = f"pass count={count}, without quotes." if quoted else "pass count=12."
        raise DataError(f"count={count!r}.", f"1 or more {what}.", fix)


def with_article(name: str) -> str:
    """Return the name of a class with its article.

    Example:
        >>> with_article("ImageList"), with_article("str")
        ('an ImageList', 'a str')
    """
    return f"{'an' if name[0] in 'AEIOUaeio' else 'a'} {name}"
