"""The inputs of a request, and what is said where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onecycle.ship.serve.uploads import _shown

Ask = Callable[..., Any]


@pytest.mark.parametrize(("body", "what"), [
    (b"", "The body is no JSON: Expecting value: line 1 column 1 (char 0)."),
    (b"[" * 100_000, "The body is no JSON: "),
    (b"\xff\xfe", "The body is no JSON: "),
    (b"[]", "The body is a JSON list."),
    (b"{}", "Input 0 of the JSON is neither a text nor a file."),
    (b'{"inputs": "text"}', "Input 0 of the JSON is neither a text nor a file."),
    (b'{"inputs": []}', "The request has no input."),
    (b'{"inputs": ["a", {"base64": "?"}]}', "Input 1 of the JSON is neither a text nor a file."),
    (b'{"inputs": ["a", {"base64": 3}]}', "Input 1 of the JSON is neither a text nor a file."),
    (b'{"inputs": [null]}', "Input 0 of the JSON is neither a text nor a file."),
])  # fmt: skip
def test_json_without_inputs_is_refused(ask: Ask, body: bytes, what: str) -> None:
    response = ask("texts").post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["error"]["what"].startswith(what)


def test_the_fix_for_an_empty_request_leads_to_an_answer(ask: Ask) -> None:
    client = ask("texts")
    refused = client.post("/predict").json()["error"]
    assert refused["what"] == "The request has no input."
    assert "curl -F file=@photo.jpg ADDRESS/predict" in refused["fix"]
    assert client.post("/predict", files={"file": ("photo.txt", b"good")}).status_code == 200


def test_a_broken_form_is_refused(ask: Ask) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = ask("texts").post("/predict", content=b"--y\r\nnothing", headers=headers)
    assert response.status_code == 400
    assert response.json()["error"].keys() == {"what", "expected", "fix"}


def test_texts_keep_their_letters(ask: Ask) -> None:
    body = rb'{"inputs": ["gut \u2013 sch\u00f6n", "\ud800 good", {"base64": "Z29vZA==", "name": "\ud800a"}]}'
    answers = ask("texts").post("/predict", content=body, headers={"content-type": "application/json"})
    assert answers.status_code == 200
    assert [answer["name"] for answer in answers.json()["predictions"]] == ["text 0", "text 1", "a"]


@pytest.mark.parametrize(("given", "shown"), [
    ("../../a.png", "a.png"), ("C:\\photos\\a.png", "a.png"), ("a\n\x1bb.png", "ab.png"), (None, ""), (3, "3"),
    ("x" * 999, "x" * 200),
])  # fmt: skip
def test_a_name_is_only_shown(given: Any, shown: str) -> None:
    assert _shown(given) == shown
