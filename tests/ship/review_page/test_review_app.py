"""The API of a review: cards, pictures, decisions; and the same guard as before a model."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.errors import ModelError
from onecycle.review.decisions import CORRECTIONS
from onecycle.ship.review_page.app import create_review_app
from onecycle.ship.review_page.opening import open_review

Ask = Callable[..., Any]


def card_of(client: Any, tab: str = "one", **query: str) -> dict[str, Any]:
    card: dict[str, Any] = client.get("/card", params={"tab": tab, **query}).json()["card"]
    return card


def decide(client: Any, card: dict[str, Any], decision: str, tab: str = "one", **more: Any) -> Any:
    body = {"tab": tab, "card": card["key"], "version": card["version"], "decision": decision, **more}
    return client.post("/decide", json=body)


def decided(folder: Path) -> dict[str, tuple[str, str]]:
    rows = oc.Corrections.read(folder / CORRECTIONS).standing().to_pylist()
    return {row["item"]: (row["decision"], row["label"]) for row in rows}


def error_of(response: Any) -> str:
    error = response.json()["error"]
    return f"{error['what']}\nExpected {error['expected']}\nFix: {error['fix']}"


def test_cards_are_decided_one_after_the_other_and_taken_back(ask: Ask, tmp_path: Path) -> None:
    client = ask("photos")
    first = card_of(client)
    assert (first["kind"], first["group"], first["new"]) == ("mistakes", False, False)
    (item,) = first["items"]
    assert (item["text"], item["decision"]) == (None, None)
    assert item["label"] != item["predicted"]
    assert sorted(item["probabilities"]) == ["blue", "green", "red"]
    assert first["reasons"][0].startswith(f"Labelled {item['label']}, and the model says {item['predicted']}")
    answer = decide(client, first, "relabel", label=item["predicted"]).json()
    assert answer["undo"]
    assert sum(kind["decided"] for kind in answer["kinds"]) == 1
    assert decided(tmp_path) == {item["name"]: ("relabel", item["predicted"])}
    second = card_of(client)
    assert second["key"] != first["key"]
    decide(client, second, "keep")
    assert client.post("/undo", json={"tab": "one"}).status_code == 200
    assert card_of(client)["key"] == second["key"]
    assert set(decided(tmp_path)) == {item["name"]}


def test_a_new_start_goes_on_where_the_last_one_ended(ask: Ask, tmp_path: Path) -> None:
    client = ask("photos")
    first = card_of(client)
    decide(client, first, "remove")
    again = ask("photos")
    assert card_of(again)["key"] not in (None, first["key"])
    assert sum(kind["decided"] for kind in again.get("/card", params={"tab": "one"}).json()["kinds"]) == 1


def test_what_another_tab_decided_meanwhile_is_told(ask: Ask, tmp_path: Path) -> None:
    client = ask("photos")
    shown = card_of(client, "one")
    assert card_of(client, "two")["key"] != shown["key"]
    decide(client, shown, "remove", "one")
    late = decide(client, shown, "keep", "two")
    assert late.status_code == 409
    assert error_of(late) == (
        "This was decided in another tab meanwhile.\nExpected one decision at a time.\n"
        "Fix: look at what comes next, or undo the other decision first."
    )
    assert [decision for decision, _ in decided(tmp_path).values()] == ["remove"]


def test_skipped_cards_come_back_when_they_are_asked_for(ask: Ask) -> None:
    client = ask("photos")
    keys = []
    while (card := card_of(client)) is not None:
        keys.append(card["key"])
        client.post("/skip", json={"tab": "one", "card": card["key"]})
    assert sum(kind["skipped"] for kind in client.get("/card?tab=one").json()["kinds"]) == len(set(keys))
    client.post("/skipped", json={})
    assert card_of(client)["key"] == keys[0]


def test_tags_are_saved_as_a_list(ask: Ask, tmp_path: Path) -> None:
    client = ask("tags")
    card = card_of(client)
    assert decide(client, card, "relabel", label=["blue", "red"]).status_code == 200
    assert decided(tmp_path) == {card["items"][0]["name"]: ("relabel", '["blue", "red"]')}


def test_doubtful_labels_and_copies_are_searched_and_copies_decided_together(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    shutil.copy(photos / "red" / "red_0.jpg", tmp_path / "photos" / "red" / "copied.jpg")
    learner = tiny(photo_bunch(tmp_path / "photos"))
    with open_review(learner, tmp_path) as review:
        assert review.searching == ["mistakes", "unsure", "doubtful", "duplicates"]
        review.search()
        assert (review.searching, review.problems) == ([], {})
        with TestClient(create_review_app(review, learner), base_url="http://localhost") as client:
            names: set[str] = set()
            while not {"red/red_0.jpg", "red/copied.jpg"} <= names:
                card = card_of(client, kind="duplicates")
                names = {item["name"] for item in card["items"]}
                client.post("/skip", json={"tab": "one", "card": card["key"]})
            removed = [item["name"] for item in card["items"] if item["proposed"]]
            assert 0 < len(removed) < len(card["items"])
            assert decide(client, card, "remove", removed=removed).status_code == 200
    assert [name for name, (decision, _) in decided(tmp_path).items() if decision == "remove"] == removed


def test_one_kind_alone_can_be_asked_for(ask: Ask) -> None:
    client = ask("photos")
    kinds = {kind["kind"] for kind in client.get("/card?tab=one").json()["kinds"] if kind["total"]}
    for kind in kinds:
        assert card_of(client, kind=kind)["kind"] == kind
    wrong = client.get("/card?tab=one&kind=doubts")
    assert error_of(wrong).startswith("kind='doubts'.\nExpected one of: doubtful, mistakes, duplicates, unsure, pool.")
    assert client.get("/card?tab=one").status_code == 200  # as the fix says


def test_new_items_are_judged_in_the_journal(ask: Ask, tmp_path: Path, photos: Path) -> None:
    client = ask("photos", pool=photos / "red")
    card = card_of(client, kind="pool")
    (item,) = card["items"]
    assert (card["new"], item["label"], item["split"]) == (True, None, "pool")
    other = next(name for name in ("blue", "green", "red") if name != item["predicted"])
    decide(client, card, "relabel", label=other)
    decide(client, card_of(client, kind="pool"), "keep")
    with oc.Journal(tmp_path / "model.journal") as journal:
        rows = journal.corrections().to_pylist()
        assert [(row["verdict"], row["label"] == other) for row in rows] == [
            ("wrong", True),
            ("right", rows[1]["label"] == other),
        ]
        assert Path(rows[0]["path"]).read_bytes() == (photos / "red" / item["name"]).read_bytes()
    assert not (tmp_path / CORRECTIONS).exists()
    client.post("/undo", json={"tab": "one"})
    again = ask("photos", pool=photos / "red")
    pools = next(kind for kind in again.get("/card?tab=one").json()["kinds"] if kind["kind"] == "pool")
    assert pools["total"] == 9


@pytest.mark.parametrize(("body", "message"), [
    ({"decision": "delete"}, "decision='delete'.\nExpected one of: keep, relabel, remove.\nFix: send one of them."),
    ({"decision": "relabel"}, "The label does not fit the decision.\nExpected a label with relabel, and with nothing"),
    ({"decision": "keep", "label": "red"}, "The label does not fit the decision."),
    ({"decision": "relabel", "label": "pink"}, "The label 'pink' is not one of the classes."),
    ({"decision": "relabel", "label": ["red"]}, "The label \"['red']\" for category.\nExpected a class, or a list of"),
    ({"decision": "keep", "card": "train/nothing"}, "There is no card 'train/nothing'."),
])  # fmt: skip
def test_decisions_that_cannot_be_are_told(ask: Ask, tmp_path: Path, body: dict[str, Any], message: str) -> None:
    client = ask("photos")
    card = card_of(client)
    wrong = client.post("/decide", json={"tab": "one", "card": card["key"], "version": 0, **body})
    assert wrong.status_code == 422
    assert error_of(wrong).startswith(message)
    assert not (tmp_path / CORRECTIONS).exists()


def test_a_picture_is_made_anew_and_only_of_what_is_on_a_card(ask: Ask) -> None:
    client = ask("photos")
    (item,) = card_of(client)["items"]
    response = client.get("/picture", params={"item": item["key"]})
    assert response.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(response.content)).size == (48, 40)
    for key in ("train/../../etc/passwd", "/etc/passwd", ""):
        assert client.get("/picture", params={"item": key}).status_code == 404


def test_what_the_model_went_by_in_an_item_that_is_on_a_card(ask: Ask, learners: Any, photos: Path) -> None:
    client = ask("photos")
    (item,) = card_of(client)["items"]
    assert client.get("/about").json()["explains"] == "map"
    explanation = client.get("/explain", params={"item": item["key"]}).json()
    expected = oc.attribute(learners("photos"), photos / item["name"])
    assert (explanation["label"], explanation["probability"]) == (
        item["predicted"],
        pytest.approx(expected.probability),
    )
    assert explanation["box"] == pytest.approx(expected.box)
    assert Image.open(io.BytesIO(base64.b64decode(explanation["map"]))).size == expected.map.shape[::-1]
    assert client.get("/explain", params={"item": "/etc/passwd"}).status_code == 404


def test_an_address_that_is_none_is_told_without_a_description_that_is_none(ask: Ask) -> None:
    refused = ask("photos").get("/openapi.json")
    assert refused.status_code == 404
    assert error_of(refused) == (
        "GET /openapi.json: Not Found.\nExpected a request as the page at / sends it.\n"
        "Fix: check address, method and body."
    )


def test_the_guard_is_the_one_before_a_model(ask: Ask) -> None:
    client = ask("photos", token="secret")
    assert client.get("/card?tab=one").status_code == 401
    assert client.get("/", params={"token": "secret"}).status_code == 200
    assert client.get("/card?tab=one").status_code == 200
    assert client.post("/skipped", json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/card", headers={"Host": "evil.example"}).status_code == 421
    assert "script-src 'self'" in client.get("/").headers["content-security-policy"]
    client.cookies.clear()
    assert client.get("/health").status_code == 200


def test_the_page_and_its_files_name_nothing_from_outside(ask: Ask) -> None:
    client = ask("photos")
    page = client.get("/").text
    for name in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert name.startswith("data:") or client.get(f"/{name}").status_code == 200
    for name in ("", "review.js", "review.css"):
        assert not re.search(r"https?://|//\w+\.\w", client.get(f"/{name}").text.replace("// ", ""))
    assert not re.search(r"<script>|\son\w+=|style=", page)


def test_a_broken_item_is_told_on_its_card(
    ask: Ask, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ask("photos")
    (item,) = card_of(client)["items"]
    monkeypatch.setattr("onecycle.data.rows.Rows.input", lambda *_: str(tmp_path / "gone.jpg"))
    assert "gone.jpg" in error_of(client.get("/picture", params={"item": item["key"]}))


def test_a_language_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learners: Any) -> None:
    learner = learners("photos")
    monkeypatch.setattr("onecycle.ship.serve.served._is_language_model", lambda model: True)
    with pytest.raises(ModelError, match="is a language model"), open_review(learner, tmp_path):
        pass
