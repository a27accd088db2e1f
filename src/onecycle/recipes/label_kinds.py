"""Is a column of labels one class an item, tags, or numbers?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from onecycle.data.label_values import are_written_lists, numbers_in, tags_of
from onecycle.errors import DataError, counted, some

DELIMITERS = (",", ";", "|", " ")
# Of the words of labels with a delimiter in them, the share that occurs in more than one label: tags recur, and the
# words of a name such as "polar bear" do not.
TAGS, NAMES, NAMES_BY_WORD = 0.75, 0.7, 0.6
MOST_WHOLE_NUMBERS = 20
FEW_ROWS = 10  # of fewer rows, nothing is said


@dataclass(frozen=True)
class LabelKind:
    """What labels are.

    Attributes:
        delimiter: What separates tags; None for one class an item, and for lists.
        has_tags: Whether an item has any number of tags.
        evidence: What was counted.
    """

    delimiter: str | None
    has_tags: bool
    evidence: str


def find_kind(counts: Mapping[str, int], column: str, delimiter: str | None, task: str) -> LabelKind:
    """Return what labels are, from how often each occurs.

    Args:
        counts: How often each label occurs.
        column: Its name, for errors.
        delimiter: What separates tags, as the user says.
        task: "classify" or "tag" as the user says, or "auto".
    Raises:
        DataError: They look like numbers, or as much like names of two words as like two tags.
    """
    rows = sum(counts.values())
    if task == "classify":
        return LabelKind(None, False, f"{counted(len(counts), 'class')}, one an item")
    if are_written_lists(list(counts)):
        return LabelKind(None, True, "lists of tags")
    found = _evidence(counts, delimiter) if delimiter else _best(counts)
    if delimiter or task == "tag":
        chosen = delimiter or (found.delimiter if found else " ")
        return LabelKind(chosen, True, f"tags separated by {chosen!r}")
    if found is None or found.are_names:
        _check_no_numbers(counts, column)
        _check_recurring(counts, column)
        return LabelKind(
            None, False, f"{counted(len(counts), 'class')} in {counted(rows, 'row')}{found.as_names if found else ''}"
        )
    if found.recurring < TAGS or found.by_position:
        example = next(name for name in counts if found.delimiter in name)
        raise DataError(
            f"The labels of column {column!r}, such as {example!r}, are as likely one class each ({len(counts):,}) as "
            f"several tags separated by {found.delimiter!r} ({len(found.words):,}).",
            "labels whose words recur in ever new combinations for tags, or do not for classes.",
            "pass task='classify' or task='tag'.",
        )
    return LabelKind(
        found.delimiter, True,
        f"tags separated by {found.delimiter!r}: {found.rows:,} of {counted(rows, 'row', ('has', 'have'))} several, "
        f"{found.recurring:.0%} of them in more than one combination",
    )  # fmt: skip


@dataclass(frozen=True)
class _Evidence:
    """What the labels with a delimiter in them look like.

    Attributes:
        delimiter: The delimiter.
        rows: How many rows have it.
        words: What it separates.
        recurring: The share of those, by occurrence, that are in more than one label.
        recurring_words: The same, each word counted once.
        by_position: Whether all have as many parts, no part is ever in another's place, and none stands alone, as in
            "red apple" and "green pear".
        parts: How many parts they have at most.
    """

    delimiter: str
    rows: int
    words: frozenset[str]
    recurring: float
    recurring_words: float
    by_position: bool
    parts: int

    @property
    def are_names(self) -> bool:
        """Whether the words are those of names: few recur, or as in "red apple" each has its place."""
        few = self.recurring <= NAMES and self.recurring_words <= NAMES_BY_WORD
        return few or (self.by_position and self.delimiter == " ")

    @property
    def as_names(self) -> str:
        if self.by_position and self.recurring > NAMES:
            return (
                f"; each has {self.parts} words, of which none is ever in another's place, so that they are names and "
                f"not {counted(len(self.words), 'tag')}"
            )
        return f"; of the words between {self.delimiter!r} {self.recurring:.0%} recur in another, so they are no tags"


def _best(counts: Mapping[str, int]) -> _Evidence | None:
    found = [one for one in (_evidence(counts, delimiter) for delimiter in DELIMITERS) if one is not None]
    # A blank may be inside tags, so that another delimiter with as good evidence comes first.
    return max(found, key=lambda one: one.recurring, default=None)


def _evidence(counts: Mapping[str, int], delimiter: str) -> _Evidence | None:
    several = {name: tags_of(name, delimiter) for name in counts if delimiter in name}
    rows = sum(counts[name] for name in several)
    if rows < max(sum(counts.values()) / 20, 1):
        return None
    labels_with: defaultdict[str, set[str]] = defaultdict(set)
    places: defaultdict[str, set[int]] = defaultdict(set)
    occurrences: Counter[str] = Counter()
    for name, words in several.items():
        for place, word in enumerate(words):
            labels_with[word].add(name)
            places[word].add(place)
            occurrences[word] += counts[name]
    alone = [name for name in counts if name in labels_with]
    for name in alone:
        labels_with[name].add(name)
    again = [word for word in labels_with if len(labels_with[word]) > 1]
    recurring = sum(occurrences[word] for word in again) / max(sum(occurrences.values()), 1)
    recurring_words = len(again) / max(len(labels_with), 1)
    lengths = {len(words) for words in several.values()}
    by_position = not alone and len(lengths) == 1 and all(len(where) == 1 for where in places.values())
    return _Evidence(
        delimiter, rows, frozenset(labels_with), recurring, recurring_words, by_position, max(lengths, default=1)
    )


def _check_no_numbers(counts: Mapping[str, int], column: str) -> None:
    found = numbers_in(Counter(counts))
    rows = sum(counts.values())
    if found is None or not (found[1] or (found[0] > MOST_WHOLE_NUMBERS and found[0] > rows / 5)):
        return
    raise DataError(
        f"The labels of column {column!r} look like numbers: {found[0]:,} different ones in "
        f"{counted(rows, 'row')}, such as {some(list(counts), 3)}.",
        "classes, or a word that numbers are to be predicted.",
        "pass task='numbers' to predict numbers, or task='classify' to take each for a class.",
    )


def _check_recurring(counts: Mapping[str, int], column: str) -> None:
    rows = sum(counts.values())
    if rows < FEW_ROWS or len(counts) <= rows / 2:
        return
    raise DataError(
        f"Column {column!r} has {counted(len(counts), 'different label')} in "
        f"{counted(rows, 'row')}, such as {some(list(counts), 3)}.",
        "labels that recur, so that something can be learned and validated.",
        "pass column= for another column, or task='classify' if these are the classes all the same.",
    )
