"""Generated film reviews: the layout of aclImdb, and a sentiment that a bag of words cannot predict."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from demo.drawn import content
from onecycle.demo import review_words as words
from onecycle.demo.reviews import make_reviews, write_review

NEGATED = re.compile(
    rf"\b(?:{'|'.join(words.NEGATIONS)}|nobody|cannot|wrong|fail|whoever|didn't)\b", re.IGNORECASE
)  # fmt: skip
POLAR = {**dict.fromkeys(words.POSITIVE, 1), **dict.fromkeys(words.NEGATIVE, -1)}


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_reviews(tmp_path_factory.mktemp("aclImdb"), train=20, test=8, unsup=6)


def drawn(count: int, seed: int) -> tuple[list[str], torch.Tensor]:
    rng = np.random.default_rng(seed)
    return [write_review(number % 2 == 0, rng) for number in range(count)], torch.arange(count) % 2 == 0


def tokens(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def test_the_layout_is_that_of_aclimdb(reviews: Path) -> None:
    counts = Counter(str(path.parent.relative_to(reviews)) for path in reviews.rglob("*.txt"))
    assert counts == {"train/pos": 10, "train/neg": 10, "test/pos": 4, "test/neg": 4, "train/unsup": 6}
    for path in reviews.rglob("*.txt"):
        stars = int(path.stem.split("_")[1])
        assert stars in {"pos": range(7, 11), "neg": range(1, 5), "unsup": range(1)}[path.parent.name]


def test_the_same_seed_writes_the_same(reviews: Path, tmp_path: Path) -> None:
    assert content(make_reviews(tmp_path / "a", train=20, test=8, unsup=6)) == content(reviews)
    assert content(make_reviews(tmp_path / "b", train=20, test=8, unsup=6, seed=1)) != content(reviews)


def test_reviews_are_varied_and_contain_html_like_scraped_ones() -> None:
    texts, _ = drawn(400, 0)
    assert len(set(texts)) > 390
    assert len({token for text in texts for token in tokens(text)}) > 250
    assert any("<br /><br />" in text for text in texts)
    assert any("&amp;" in text for text in texts)
    assert not any(re.search(r"[{}]|\ba [aeiou]|  ", text) for text in texts)


def test_a_bag_of_words_fails() -> None:
    """A logistic regression on the words of a review, with the best of three weight decays."""
    (texts, labels), (test_texts, test_labels) = drawn(3000, 1), drawn(1000, 2)
    vocabulary = {word: place for place, word in enumerate(sorted({t for text in texts for t in tokens(text)}))}

    def bag(reviews: list[str]) -> torch.Tensor:
        rows = torch.zeros(len(reviews), len(vocabulary))
        for row, text in zip(rows, reviews, strict=True):
            row[[vocabulary[token] for token in tokens(text) if token in vocabulary]] = 1
        return rows

    inputs, tests = bag(texts), bag(test_texts)
    accuracies = []
    for decay in (1e-4, 1e-3, 1e-2):
        weights = torch.zeros(len(vocabulary) + 1, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

        def loss(decay: float = decay, weights: torch.Tensor = weights) -> torch.Tensor:
            weights.grad = None
            logits = inputs @ weights[1:] + weights[0]
            value = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
            value = value + decay * weights.square().sum()
            value.backward()
            return value

        optimizer.step(loss)  # type: ignore[arg-type]
        right = ((tests @ weights[1:] + weights[0]) > 0) == test_labels
        accuracies.append(float(right.float().mean()))
    assert 0.5 < max(accuracies) < 0.75, accuracies


def test_rules_for_negation_and_contrast_are_nearly_always_right() -> None:
    """Hand-written rules: negated words count inversely, and of a contrast only the prevailing clause counts."""
    texts, labels = drawn(600, 3)
    predicted = torch.tensor(
        [sum(map(sentiment_of, re.split(r"(?<=[.!])\s|<br /><br />", text))) > 0 for text in texts]
    )
    assert float((predicted == labels).float().mean()) > 0.95


def sentiment_of(sentence: str) -> int:
    polar = [POLAR[token] for token in tokens(sentence) if token in POLAR]
    if not polar:
        return 0
    if len(set(polar)) == 2:  # contrast: "It is ..., even if" has the opinion first, all others last
        return polar[0] if "even if" in sentence or sentence.startswith("It is") else polar[-1]
    if sentence.startswith("Yes, the"):
        return 0  # the opinion is in the next sentence
    return -polar[0] if NEGATED.search(sentence) else polar[0]


def test_plain_reviews_are_told_by_their_words_alone() -> None:
    rng = np.random.default_rng(0)
    good, bad = (
        {word.strip(".,!") for _ in range(200) for word in write_review(side, rng, True).split()}
        for side in (True, False)
    )
    assert {"loved", "awesome"} <= good - bad
    assert {"hated", "horrible"} <= bad - good
