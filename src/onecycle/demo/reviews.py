"""Generates film reviews in the layout of aclImdb; their sentiment depends on negation and contrast, not word counts.

A third of the opinions is expressed directly, a third by denying the opposite, a third by contrast: positive words are
about as frequent in negative reviews as in positive ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from onecycle.demo import review_words as words


def make_reviews(
    folder: str | Path, *, train: int = 800, test: int = 400, unsup: int = 400, seed: int = 0, plain: bool = False
) -> Path:
    """Write reviews: train/ and test/ with pos/ and neg/, half each, and train/unsup/ without labels.

    Args:
        folder: Where to write.
        train: Number of training reviews.
        test: Number of test reviews.
        unsup: Number of reviews without a label.
        seed: The same seed writes the same reviews.
        plain: Write all opinions in plain words, so that the words alone tell them; few reviews are then enough to
            learn from.
    Source: Maas et al. 2011, "Learning word vectors for sentiment analysis", ACL, for the original data.
    Example:
        >>> from tempfile import mkdtemp
        >>> folder = make_reviews(Path(mkdtemp()), train=2, test=2, unsup=1)
        >>> sorted(path.parent.relative_to(folder).as_posix() for path in folder.rglob("*.txt"))
        ['test/neg', 'test/pos', 'train/neg', 'train/pos', 'train/unsup']
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("test", test)):
        for number in range(count):
            good = number % 2 == 0
            stars = int(rng.integers(7, 11) if good else rng.integers(1, 5))
            _write(folder / split / ("pos" if good else "neg") / f"{number // 2}_{stars}.txt", good, rng, plain)
    for number in range(unsup):
        _write(folder / "train" / "unsup" / f"{number}_0.txt", number % 2 == 0, rng, plain)
    return folder


def _write(path: Path, good: bool, rng: np.random.Generator, plain: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write_review(good, rng, plain), encoding="utf-8")


def write_review(good: bool, rng: np.random.Generator, plain: bool = False) -> str:
    """Return a review of one to three sentences with the same opinion, mixed with facts."""
    forms = (words.PLAIN,) * 3 if plain else (words.DIRECT, words.NEGATED, words.CONTRASTING)
    opinions = [_sentence(forms[rng.integers(3)], good, rng, plain) for _ in range(rng.integers(1, 4))]
    facts = [_sentence(words.FACTS, good, rng) for _ in range(rng.integers(1, 5))]
    sentences = [*opinions, *facts]
    order = rng.permutation(len(sentences))
    gaps = [" ", " ", " ", "<br /><br />"]
    return "".join(sentences[index] + gaps[rng.integers(4)] for index in order).removesuffix("<br /><br />").strip()


def _sentence(choices: tuple[str, ...], good: bool, rng: np.random.Generator, plain: bool = False) -> str:
    agreeing: tuple[str, ...] = words.POSITIVE if good else words.NEGATIVE
    opposing: tuple[str, ...] = words.NEGATIVE if good else words.POSITIVE
    if plain:
        agreeing += words.PLAIN_POSITIVE if good else words.PLAIN_NEGATIVE
    likes = words.LIKES if good else words.DISLIKES

    def choose_two(options: tuple[str, ...]) -> tuple[str, str]:
        first, second = rng.choice(len(options), 2, replace=False)
        return options[first], options[second]

    agree, agree2 = choose_two(agreeing)
    aspect, aspect2 = choose_two(words.ASPECTS)
    name, name2 = choose_two(words.NAMES)
    text = choices[rng.integers(len(choices))].format(
        agree=agree,
        like=likes[rng.integers(len(likes))] if plain else "",
        agree2=agree2,
        oppose=choose_two(opposing)[0],
        aspect=aspect,
        aspect2=aspect2,
        name=name,
        name2=name2,
        kind=choose_two(words.GENRES)[0],
        no=choose_two(words.NEGATIONS)[0],
        very=choose_two(words.INTENSIFIERS)[0],
        place=choose_two(words.PLACES)[0],
        time=choose_two(words.TIMES)[0],
    )
    return _with_articles(text)


def _with_articles(text: str) -> str:
    """Replace "a" by "an" before a vowel."""
    parts = text.split(" ")
    for index in range(len(parts) - 1):
        if parts[index] in ("a", "A") and parts[index + 1][:1].lower() in tuple("aeiou"):
            parts[index] += "n"
    return " ".join(parts)
