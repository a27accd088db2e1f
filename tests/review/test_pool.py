"""Decisions about new items are judgements in the journal, and nobody is asked twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import onecycle as oc
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.dataset import Dataset
from onecycle.data.rows import CONTENT, ITEM, Rows
from onecycle.review.cards import Item
from onecycle.review.pool import PoolJudgements, content_of, not_yet_judged
from onecycle.vision.images import Images


@pytest.fixture
def pool(tmp_path: Path) -> Rows:
    folder = tmp_path / "new"
    folder.mkdir()
    for name in ("a.jpg", "b.JPG", "c.odd name"):
        (folder / name).write_bytes(f"pixels of {name}".encode())
    return Rows(pa.table({ITEM: ["a.jpg", "b.JPG", "c.odd name"]}), folder)


def items_of(pool: Rows, predicted: Any = "dog", target: Any = None) -> list[Item]:
    dataset = Dataset(pool, Images((8, 8)), target or Category(("cat", "dog")), training=False)
    return [Item(dataset, row, "pool", predicted, {"cat": 0.25, "dog": 0.75}) for row in range(len(pool))]


def last_words(journal: oc.Journal) -> list[tuple[Any, ...]]:
    rows = journal.corrections().to_pylist()
    return [(row["name"], row["verdict"], row["label"], Path(row["path"]).suffix) for row in rows]


def test_what_is_said_is_in_the_journal_with_the_item(pool: Rows, tmp_path: Path) -> None:
    with oc.Journal(tmp_path / "model.journal") as journal:
        judgements, items = PoolJudgements(journal, "0f3a"), items_of(pool)
        judgements.judge(items[0], "relabel", "cat")
        judgements.judge(items[1], "keep", None)
        judgements.judge(items[2], "remove", None)
        assert last_words(journal) == [
            ("a.jpg", "wrong", "cat", ".jpg"), ("b.JPG", "right", "dog", ".jpg"), ("c.odd name", "unknown", None, ""),
        ]  # fmt: skip
        event = journal.events().to_pylist()[0]
        assert (event["model"], event["probabilities"]) == ("0f3a", '{"cat": 0.25, "dog": 0.75}')
        assert journal.input_path(event["input"]).read_bytes() == b"pixels of a.jpg"
        assert all(judgements.knows(item) for item in items)
        assert len(not_yet_judged(pool, journal)) == 0


def test_a_label_that_is_what_was_predicted_is_right(pool: Rows, tmp_path: Path) -> None:
    with oc.Journal(tmp_path / "model.journal") as journal:
        judgements = PoolJudgements(journal, "")
        judgements.judge(items_of(pool)[0], "relabel", "dog")
        tags = items_of(pool, ["haze", "road"], MultiCategory(("haze", "road")))
        judgements.judge(tags[1], "relabel", ["road", "haze"])
        assert [verdict for _, verdict, _, _ in last_words(journal)] == ["right", "right"]


def test_what_is_taken_back_is_asked_again(pool: Rows, tmp_path: Path) -> None:
    with oc.Journal(tmp_path / "model.journal") as journal:
        judgements, (first, second, _) = PoolJudgements(journal, ""), items_of(pool)
        judged = judgements.judge(first, "keep", None)
        judgements.judge(second, "keep", None)
        judgements.take_back(judged)
        assert not judgements.knows(first)
        assert [name for name, *_ in last_words(journal)] == ["b.JPG"]
        assert not_yet_judged(pool, journal).names() == ["a.jpg", "c.odd name"]


def test_texts_are_kept_as_utf8() -> None:
    table = pa.table({ITEM: ["text 0"], CONTENT: pa.array(["schön"], pa.large_string())})
    assert content_of(Rows(table), 0) == "schön".encode()
