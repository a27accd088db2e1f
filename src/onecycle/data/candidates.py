"""A guess about the user's data: candidates with scores, of which the best is taken, or none where two are as good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onecycle.errors import DataError, some

# A second candidate with at least this share of the best one's score fits about as well.
CLOSE = 0.9


@dataclass(frozen=True)
class Candidate:
    """A possible answer to a question about the user's data.

    Attributes:
        name: The answer, such as a folder or a column.
        score: How well it fits; 0 or less is no candidate.
        evidence: What was counted.
    """

    name: str
    score: float
    evidence: str

    def __str__(self) -> str:
        return f"{self.name!r} ({self.evidence})"


def choose(question: str, candidates: Iterable[Candidate], *, expected: str, option: str) -> Candidate:
    """Return the candidate with the highest score.

    Args:
        question: What is asked, such as "Which column names the images?".
        candidates: The possible answers.
        expected: What would have been right, for an error.
        option: The option that answers the question, such as "column".
    Raises:
        DataError: There is no candidate, or the second fits about as well as the best.
    Example:
        >>> choose("Which column?", [Candidate("a", 0.2, "2 of 10"), Candidate("b", 1, "10 of 10")],
        ...        expected="a column.", option="column").name
        'b'
    """
    ranked = sorted((one for one in candidates if one.score > 0), key=lambda one: -one.score)
    if not ranked:
        raise DataError(question, expected, f"pass {option}=.")
    close = [one for one in ranked if one.score >= CLOSE * ranked[0].score]
    if len(close) > 1:
        raise DataError(
            f"{question} {some(close, 4)} fit about as well.", expected,
            f"pass {' or '.join(f'{option}={one.name!r}' for one in close[:4])}.",
        )  # fmt: skip
    return ranked[0]
