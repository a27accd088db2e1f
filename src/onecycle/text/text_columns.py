"""Which column of a table holds the texts?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from onecycle.data.candidates import Candidate, choose
from onecycle.data.tables import slices
from onecycle.errors import DataError, some

USUAL_NAMES = frozenset({
    "text", "texts", "sentence", "review", "tweet", "content", "body", "comment", "message", "document", "article",
})  # fmt: skip
PREFERENCE = 3.0  # a column of a usual name may have so many times fewer words
SAMPLE_ROWS = 2**16
FEW_WORDS, FEW_ROWS = 1.5, 8
SUFFIXES_OF_NAMES = (".txt", ".text", ".md")
# A word has a letter, and is no address or path.
_WORD = re.compile(r"(?<!\S)(?!\S*(?:://|\S/\S|\\))\S*[^\W\d_]\S*")


# Japanese and Chinese put no blanks between words, of about two characters each.
_WITHOUT_BLANKS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{2}")


def text_columns(rows: pa.Table) -> list[Candidate]:
    """Return the columns of text, with a score by the words in a row; single words that recur are labels, not texts."""
    candidates = []
    for field in rows.schema:
        if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
            continue
        values = next(slices(rows[field.name].slice(0, SAMPLE_ROWS)), [])
        if _are_file_names(values):
            candidates.append(Candidate(field.name, 0.0, "names of files"))
            continue
        words = sum(_count_words(value) for value in values if value) / max(len(values), 1)
        usual = field.name.strip().lower() in USUAL_NAMES
        recur = len(values) >= FEW_ROWS and len(set(values)) <= len(values) / 2
        preference = PREFERENCE if usual else 0.0 if recur and words <= FEW_WORDS else 1.0
        candidates.append(Candidate(field.name, words * preference, f"{words:.1f} words in a row"))
    return candidates


def choose_text_column(rows: pa.Table, option: str = "column") -> Candidate:
    """Return the column with the most words in a row; addresses are no words.

    Raises:
        DataError: There is no column of texts, or it names files, or two fit about as well.
    """
    candidates = text_columns(rows)
    if not any(one.score for one in candidates):
        for one in candidates:
            refuse_file_names(one.name, rows[one.name])
    if len(candidates) == 1:
        return candidates[0]
    if not any(one.score for one in candidates):
        raise DataError(
            f"The table has no column of texts, only {some(rows.column_names, 12) or 'none at all'}.",
            "a column of texts.",
            f"pass {option}= if one of them is of texts; a table of labels is passed with the folder of its images.",
        )
    return choose("Which column holds the texts?", candidates, expected="one column of texts.", option=option)


def refuse_file_names(column: str, values: pa.ChunkedArray) -> None:
    """Refuse names of text files as texts.

    Raises:
        DataError: They are.
    """
    listed = [value for value in next(slices(values.slice(0, SAMPLE_ROWS)), []) if value]
    if _are_file_names(listed):
        raise DataError(
            f"Column {column!r} holds names of files, such as {some(listed, 2)}, not texts.",
            "a column with the texts themselves.",
            "put the files of each label into a folder of its own, and pass the folder of these folders; or write the "
            "texts into a column of the table.",
        )


def _are_file_names(values: Iterable[Any]) -> bool:
    listed = [value for value in values if value]
    return bool(listed) and all(str(value).strip().lower().endswith(SUFFIXES_OF_NAMES) for value in listed)


def _count_words(text: str) -> int:
    return len(_WORD.findall(text)) + len(_WITHOUT_BLANKS.findall(text))
