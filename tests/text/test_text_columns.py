from __future__ import annotations

import pyarrow as pa
import pytest

import onecycle as oc
from onecycle.errors import DataError
from onecycle.text.text_columns import choose_text_column


def chosen(**columns: list[str | None]) -> str:
    return choose_text_column(pa.table(columns)).name


def test_words_count_and_not_letters() -> None:
    address = [f"https://example.org/a/very/long/address/that/says/nothing/{i}?x={i}" for i in range(4)]
    path = [f"/data/folder/with/many/parts/{i}.txt" for i in range(4)]
    texts, labels = ["I loved it so much", "Poor", "Fine day", "Never again"], ["glad and positive", "negative"] * 2
    assert chosen(url=address, path=path, text=texts, label=labels) == "text"
    assert chosen(url=address, words=[f"{text} {text} {text}" for text in texts], label=labels) == "words"


def test_longer_texts_of_no_usual_name_are_taken() -> None:
    assert chosen(title=["A film"] * 3, plot=["They meet in a small town and then they part"] * 3) == "plot"


def test_texts_without_blanks_between_words() -> None:
    assert chosen(label=["好", "坏"], 文=["这部电影真的很好看我很喜欢", "这部电影很无聊浪费时间"]) == "文"


def test_two_that_fit_as_well_are_refused_and_the_fix_works(capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table({"first": ["one two three"] * 2, "second": ["four five six"] * 2, "id": ["1", "2"]})
    message = r"Which column holds the texts\? 'first' \(3\.0 words in a row\), 'second' [^$]*Fix: pass column='first'"
    with pytest.raises(DataError, match=message):
        oc.TextList.from_table(table)
    assert len(oc.TextList.from_table(table, column="second")) == 2
    assert capsys.readouterr().out == "", "nothing was guessed"


def test_what_is_guessed_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    oc.TextList.from_table(pa.table({"label": ["a"], "text": ["one two"]}))
    assert capsys.readouterr().out == "Texts: column 'text' (2.0 words in a row).\n"
