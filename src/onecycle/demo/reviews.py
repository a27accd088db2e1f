"""Film reviews in aclImdb's layout. What they say hangs on negation and contrast, so that counting words is not enough.

A third of the judgements is said as it is meant, a third by denying the opposite, a third by setting one against the
other: words of praise are about as frequent in bad reviews as in good ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onecycle.demo import review_words as words


def make_reviews(folder: Path, *, train: int = 800, test: int = 400, unsup: int = 400, seed: int = 0) -> Path:
    """Write reviews: train/ and test/ with pos/ and neg/, half each, and train/unsup/ without labels.

    Args:
        folder: Where to.
        train: Reviews to train on.
        test: Reviews to test on.
        unsup: Reviews whose verdict is not told.
        seed: The same seed writes the same.
    """
    rng = np.random.default_rng(seed)
    for side, count in (("train", train), ("test", test)):
        for number in range(count):
            good = number % 2 == 0
            stars = int(rng.integers(7, 11) if good else rng.integers(1, 5))
            _write(folder / side / ("pos" if good else "neg") / f"{number // 2}_{stars}.txt", good, rng)
    for number in range(unsup):
        _write(folder / "train" / "unsup" / f"{number}_0.txt", number % 2 == 0, rng)
    return folder


def _write(path: Path, good: bool, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write_review(good, rng), encoding="utf-8")


def write_review(good: bool, rng: np.random.Generator) -> str:
    """Return a review of one to three judgements, all of the same verdict, among facts."""
    kinds = (words.PLAIN, words.DENIED, words.CONTRASTED)
    judgements = [_sentence(kinds[rng.integers(3)], good, rng) for _ in range(rng.integers(1, 4))]
    facts = [_sentence(words.FACTS, good, rng) for _ in range(rng.integers(1, 5))]
    sentences = [*judgements, *facts]
    order = rng.permutation(len(sentences))
    gaps = [" ", " ", " ", "<br /><br />"]
    return "".join(sentences[place] + gaps[rng.integers(4)] for place in order).removesuffix("<br /><br />").strip()


def _sentence(choices: tuple[str, ...], good: bool, rng: np.random.Generator) -> str:
    agreeing, opposing = (words.PRAISE, words.BLAME) if good else (words.BLAME, words.PRAISE)

    def two(several: tuple[str, ...]) -> tuple[str, str]:
        first, second = rng.choice(len(several), 2, replace=False)
        return several[first], several[second]

    (agree, agree2), (aspect, aspect2), (name, name2) = two(agreeing), two(words.ASPECTS), two(words.NAMES)
    text = choices[rng.integers(len(choices))].format(
        agree=agree, agree2=agree2, oppose=two(opposing)[0], aspect=aspect, aspect2=aspect2, name=name, name2=name2,
        kind=two(words.KINDS)[0], no=two(words.NOT)[0], very=two(words.VERY)[0], place=two(words.PLACES)[0],
        time=two(words.TIMES)[0],
    )  # fmt: skip
    return _with_articles(text)


def _with_articles(text: str) -> str:
    """Write "an" before a vowel."""
    parts = text.split(" ")
    for place in range(len(parts) - 1):
        if parts[place] in ("a", "A") and parts[place + 1][:1].lower() in tuple("aeiou"):
            parts[place] += "n"
    return " ".join(parts)
