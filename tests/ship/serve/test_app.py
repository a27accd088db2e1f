"""A server answers as the model does, and what people say about its answers is in the journal."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
from onecycle.ship.serve import app as app_module
from onecycle.ship.serve.app import Limits
from onecycle.ship.serve.served import Answer, ServedModel, Upload, load_served
from ship.tiny_bundles import calibrated

from .conftest import picture

Ask = Callable[..., Any]
Bundles = Callable[[str], Path]


def upload(client: Any, *contents: bytes, query: str = "") -> Any:
    return client.post(f"/predict{query}", files=[("file", (f"{n}.png", data)) for n, data in enumerate(contents)])


def test_files_are_predicted_as_the_model_predicts_them(ask: Ask, bundles: Bundles, tmp_path: Path) -> None:
    contents = [picture(seed) for seed in range(5)]
    paths = [tmp_path / f"{seed}.png" for seed in range(5)]
    for path, data in zip(paths, contents, strict=True):
        path.write_bytes(data)
    answered = upload(ask("photos"), *contents).json()["predictions"]
    for answer, expected in zip(answered, oc.load_model(bundles("photos")).predict_many(paths), strict=True):
        assert answer["prediction"] == expected.label
        assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    assert [answer["name"] for answer in answered] == [path.name for path in paths]


def test_an_unfamiliar_input_is_told(tmp_path: Path) -> None:
    served = load_served(calibrated().write(tmp_path / "sure.onecycle"))
    answer = served.predict([served.read(Upload("a.png", picture()))])[0]
    assert app_module._as_json(answer)["unfamiliar"] is True
    assert app_module._as_json(Answer("red", {})) == {"prediction": "red", "probabilities": {}}


def test_texts_are_predicted_alike_however_they_arrive(ask: Ask, bundles: Bundles) -> None:
    texts = ["the film was good", "the story was bad . the film was bad"]
    client, expected = ask("texts"), oc.load_model(bundles("texts")).predict_many(texts)
    encoded = [{"base64": base64.b64encode(text.encode()).decode(), "name": "a.txt"} for text in texts]
    for response in (
        client.post("/predict", json={"inputs": texts}),
        client.post("/predict", json={"inputs": encoded}),
        client.post("/predict", files=[("file", ("a.txt", text.encode())) for text in texts]),
        client.post("/predict", data={"one": texts[0], "two": texts[1]}, files={"": b""}),
    ):
        for answer, one in zip(response.json()["predictions"], expected, strict=False):
            assert answer["prediction"] == one.label
            assert answer["probabilities"] == pytest.approx(one.probabilities, abs=1e-6)
    whole = client.post("/predict", content=texts[0], headers={"content-type": "text/plain"}).json()
    assert whole["predictions"][0]["probabilities"] == pytest.approx(expected[0].probabilities, abs=1e-6)


@pytest.mark.parametrize("kind", ["tags", "ages", "masks", "points"])
def test_each_kind_of_label_has_a_form_in_json(ask: Ask, bundles: Bundles, tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    expected = oc.load_model(bundles(kind)).predict(tmp_path / "a.png")
    answer = upload(ask(kind), picture()).json()["predictions"][0]
    label = answer["prediction"]
    if kind == "tags":
        assert tuple(label) == expected.label
    elif kind == "ages":
        assert label == pytest.approx(expected.label)
    elif kind == "points":
        np.testing.assert_allclose(label, expected.label, atol=1e-4)
    else:
        mask = Image.open(io.BytesIO(base64.b64decode(label)))
        np.testing.assert_array_equal(np.asarray(mask), expected.label)
    assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)


def test_a_file_that_cannot_be_read_is_told_beside_the_answers_to_the_others(ask: Ask) -> None:
    response = upload(ask("photos"), picture(), b"no image", picture(1))
    assert response.status_code == 200
    first, broken, third = response.json()["predictions"]
    assert {first["prediction"], third["prediction"]} <= {"blue", "green", "red"}
    assert broken["name"] == "1.png"
    assert broken["error"].keys() == {"what", "expected", "fix"}
    assert "1.png" in broken["error"]["what"]


def test_where_nothing_can_be_read_the_request_fails(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECYCLE_DECODE_LIMIT", "1M")
    client = ask("photos")
    bomb = picture(size=(1000, 1000))
    for data, what in (
        (b"", "0.png"),
        (picture()[:60], "0.png"),
        (bomb, r"0.png takes [\d.]+ MB to decode: 1000x1000"),
    ):
        response = upload(client, data)
        assert response.status_code == 422
        assert re.search(what, response.json()["error"]["what"])
    assert client.post("/predict", json={"inputs": ["a text"]}).status_code == 422


def test_an_image_is_no_text(ask: Ask) -> None:
    response = upload(ask("texts"), picture())
    assert response.json()["error"] == {
        "what": "0.png is an image.", "expected": "a text: this model reads texts.", "fix": "send a text.",
    }  # fmt: skip


def test_judgements_are_in_the_journal_when_they_are_answered(ask: Ask, tmp_path: Path) -> None:
    with oc.Journal(tmp_path / "own.journal") as journal:
        client = ask("photos", journal=journal)
        answer = upload(client, picture(), query="?keep=true").json()
        (one,) = answer["predictions"]
        other = next(name for name in ("blue", "red") if name != one["prediction"])
        judged = client.post("/feedback", json={"id": one["id"], "verdict": "wrong", "label": other})
        assert judged.status_code == 200
        (row,) = journal.corrections().to_pylist()
        assert Path(row["path"]).read_bytes() == picture()
        assert Path(row["path"]).suffix == ".png"
        expected = {"name": "0.png", "verdict": "wrong", "label": other, "predicted": one["prediction"]}
        assert {name: row[name] for name in expected} == expected
        assert row["model"] == answer["model"]
        client.post("/feedback", json={"id": one["id"], "verdict": "undo"})
        assert len(journal.corrections()) == 0


def test_what_is_not_to_be_judged_leaves_nothing_behind(ask: Ask, tmp_path: Path) -> None:
    client = ask("photos")
    assert "id" not in upload(client, picture()).json()["predictions"][0]
    assert [path for path in (tmp_path / "model.journal/inputs").rglob("*") if path.is_file()] == []


def test_names_of_files_are_never_paths(ask: Ask, tmp_path: Path) -> None:
    client = ask("photos")
    files = [
        ("file", (name, picture(seed))) for seed, name in enumerate(["../../evil.sh", "/etc/passwd", "a\x00b.png"])
    ]
    answers = client.post("/predict?keep=true", files=files).json()["predictions"]
    assert [answer["name"] for answer in answers][:2] == ["evil.sh", "passwd"]
    kept = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    inputs = [name for name in kept if not name.startswith("model.journal/journal.sqlite")]
    assert len(inputs) == len(answers)
    assert all(re.fullmatch(r"model\.journal/inputs/[0-9a-f]{2}/[0-9a-f]{64}\.png", name) for name in inputs)


@pytest.mark.parametrize(("kind", "label", "what"), [
    ("photos", "elephant", "The label 'elephant' is not one of the classes."),
    ("photos", ["blue"], 'The label ["blue"] does not fit category.'),
    ("tags", ["haze", "fog"], "The label 'fog' is not one of the classes."),
    ("tags", 7, "The label 7 does not fit multi_category."),
    ("ages", {"age": "old"}, 'The label {"age": "old"} does not fit numbers.'),
    ("ages", {"ag": 41}, 'The label {"ag": 41} does not fit numbers.'),
    ("ages", {"age": 41, "size": 2}, 'The label {"age": 41, "size": 2} does not fit numbers.'),
    ("masks", "iVBORw0", "A label for mask."),
])  # fmt: skip
def test_a_label_that_the_model_cannot_learn_is_refused(ask: Ask, kind: str, label: Any, what: str) -> None:
    client = ask(kind)
    one = upload(client, picture(), query="?keep=true").json()["predictions"][0]["id"]
    refused = client.post("/feedback", json={"id": one, "verdict": "wrong", "label": label})
    assert refused.status_code == 422
    assert refused.json()["error"]["what"] == what
    assert client.post("/feedback", json={"id": one, "verdict": "wrong"}).status_code == 200


@pytest.mark.parametrize("kind", ["photos", "tags", "ages"])
def test_the_prediction_itself_is_no_correction(ask: Ask, kind: str) -> None:
    client = ask(kind)
    one = upload(client, picture(), query="?keep=true").json()["predictions"][0]
    body = {"id": one["id"], "verdict": "wrong", "label": one["prediction"]}
    refused = client.post("/feedback", json=body)
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["what"].endswith("with the verdict 'wrong' is what was predicted.")
    assert error["expected"] == "another label, or none where it is not known."
    assert error["fix"].startswith('pass the verdict "right"')
    assert client.post("/feedback", json={"id": one["id"], "verdict": "right"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "lacking"), [({"id": "x"}, "verdict"), ({"verdict": "right"}, "id"), ({}, "id, verdict")]
)
def test_what_a_judgement_lacks_is_named(ask: Ask, body: dict[str, str], lacking: str) -> None:
    refused = ask("photos").post("/feedback", json=body)
    assert refused.status_code == 422
    assert refused.json()["error"] == {
        "what": f"The body has no {lacking}.",
        "expected": "the id of a prediction, and a verdict: right, wrong, unknown, undo.",
        "fix": 'send {"id": ..., "verdict": "right"}.',
    }  # fmt: skip


def test_labels_in_the_form_of_a_prediction_are_taken(ask: Ask) -> None:
    for kind, label in (("tags", []), ("tags", ["road"]), ("ages", {"age": 41.5})):
        client = ask(kind)
        one = upload(client, picture(), query="?keep=true").json()["predictions"][0]["id"]
        answer = client.post("/feedback", json={"id": one, "verdict": "wrong", "label": label})
        assert answer.status_code == 200, answer.json()


def test_the_words_that_mattered(ask: Ask, bundles: Bundles) -> None:
    text = "the film was good"
    response = ask("texts").post("/predict?explain=true&label=pos", json={"inputs": [text]})
    explanation = response.json()["predictions"][0]["explanation"]
    expected = oc.attribute(oc.load_model(bundles("texts")), text, label="pos")
    assert (explanation["label"], explanation["probability"]) == ("pos", pytest.approx(expected.probability))
    assert [word for word, _ in explanation["words"]] == text.split()
    assert [score for _, score in explanation["words"]] == pytest.approx(expected.scores, abs=1e-5)


@pytest.mark.parametrize("kind", ["photos", "tags"])
def test_where_in_an_image_a_class_was_seen(ask: Ask, bundles: Bundles, kind: str) -> None:
    response = upload(ask(kind), picture(size=(40, 80)), b"broken", query="?explain=true&keep=true")
    answer, broken = response.json()["predictions"]
    assert broken.keys() == {"name", "error"}
    explanation = answer["explanation"]
    assert explanation["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert explanation["probability"] == pytest.approx(answer["probabilities"][explanation["label"]], abs=1e-6)
    expected = oc.attribute(oc.load_model(bundles(kind)), Image.open(io.BytesIO(picture(size=(40, 80)))))
    heat = np.asarray(Image.open(io.BytesIO(base64.b64decode(explanation["map"]))))
    assert heat.shape == ((32, 32) if kind == "photos" else (24, 32))
    np.testing.assert_allclose(heat / 255, expected.map, atol=0.01)
    assert explanation["box"] == pytest.approx([0.25, 0, 0.75, 1] if kind == "photos" else [1 / 6, 0, 5 / 6, 1])


@pytest.mark.parametrize(("kind", "query", "what"), [
    ("masks", "explain=true", "attribute() does not fit this model: it predicts mask of Images."),
    ("photos", "explain=true&label=yellow", "The label 'yellow' is not one of the classes."),
    ("photos", "label=blue", "label='blue' without explain=true."),
    ("photos", "explain=1", "explain='1' in the address."),
    ("photos", "keep=yes", "keep='yes' in the address."),
])  # fmt: skip
def test_what_cannot_be_explained_is_told(ask: Ask, kind: str, query: str, what: str) -> None:
    response = upload(ask(kind), picture(), query=f"?{query}")
    assert response.status_code == 422
    assert response.json()["error"]["what"] == what


def test_a_flag_in_capitals_is_one(ask: Ask) -> None:
    assert "id" in upload(ask("photos"), picture(), query="?keep=TRUE").json()["predictions"][0]


def test_a_full_disk_is_the_servers_fault(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    client = ask("photos")
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        response = upload(client, picture(), query="?keep=true")
    assert response.status_code == 507
    assert "No space left on device" in response.json()["error"]["what"]
    assert upload(client, picture(), query="?keep=true").status_code == 200


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_label_that_is_no_number_is_refused(ask: Ask, number: str) -> None:
    client = ask("ages")
    one = upload(client, picture(), query="?keep=true").json()["predictions"][0]["id"]
    body = f'{{"id": "{one}", "verdict": "wrong", "label": {{"age": {number}}}}}'
    refused = client.post("/feedback", content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 422


def test_without_a_journal_nothing_is_kept(bundles: Bundles) -> None:
    from starlette.testclient import TestClient

    app = app_module.create_app(app_module.load_served(bundles("photos")))
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/model").json()["journal"] is False
        for response in (upload(client, picture(), query="?keep=true"), client.post("/feedback", json={"id": "x"})):
            assert response.status_code == 422
            assert response.json()["error"]["what"] == "This server keeps no journal."


def test_the_model_says_what_it_reads_and_predicts(ask: Ask) -> None:
    masks = ask("masks").get("/model").json()
    assert (masks["reads"], masks["predicts"], masks["classes"]) == ("images", "mask", ["sky", "road"])
    assert masks["colours"] == [[1, 2, 3], [4, 5, 6]]
    assert ask("tags").get("/model").json()["threshold"] == 0.4
    assert masks["explains"] is None
    assert ask("texts").get("/model").json()["explains"] == "words"
    assert ask("tags").get("/model").json()["explains"] == "map"


def test_health_readiness_and_metrics(ask: Ask) -> None:
    client = ask("photos")
    upload(client, picture(), picture(1))
    client.post("/predict")
    client.get("/nowhere")
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready"}
    text = client.get("/metrics").text
    for line in (
        'onecycle_requests_total{path="/predict",status="200"} 1',
        'onecycle_requests_total{path="/predict",status="422"} 1',
        'onecycle_requests_total{path="other",status="404"} 1', "onecycle_predictions_total 2", "onecycle_waiting 0",
        'onecycle_request_seconds_bucket{le="+Inf"} 1', "# TYPE onecycle_request_seconds histogram",
    ):  # fmt: skip
        assert f"{line}\n" in text


def test_a_model_that_is_put_in_the_bundles_place_answers_from_then_on(
    ask: Ask, bundles: Bundles, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "model.onecycle"
    shutil.copy(bundles("photos"), path)
    client = ask(path, limits=Limits(seconds_between_looks=0.01))
    first = client.get("/model").json()["model"]
    path.write_bytes(b"no model")
    until(lambda: 'onecycle_reloads_total{result="refused"} 1' in client.get("/metrics").text)
    assert upload(client, picture()).json()["model"] == first
    assert "The model was replaced, and the old one goes on" in str(recwarn.pop(UserWarning).message)
    shutil.copy(bundles("tags"), tmp_path / "next")
    (tmp_path / "next").replace(path)
    until(lambda: client.get("/model").json()["model"] != first)
    assert upload(client, picture()).json()["predictions"][0]["probabilities"].keys() == {"haze", "road"}


def test_a_model_that_is_taken_is_told_and_a_look_amid_its_replacement_is_not(
    ask: Ask, bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onecycle"
    shutil.copy(bundles("photos"), path)
    client = ask(path, limits=Limits(seconds_between_looks=0.01))
    first = client.get("/model").json()["model"]

    def amid_a_replacement(_: Path) -> ServedModel:
        monkeypatch.setattr(app_module, "load_served", load_served)
        shutil.copy(bundles("tags"), tmp_path / "next")
        (tmp_path / "next").replace(path)
        raise FileNotFoundError(2, "No such file")  # which warns, and a warning is an error here, where it is told

    monkeypatch.setattr(app_module, "load_served", amid_a_replacement)
    shutil.copy(bundles("photos"), tmp_path / "same")
    (tmp_path / "same").replace(path)
    until(lambda: client.get("/model").json()["model"] != first)
    assert 'result="refused"' not in client.get("/metrics").text
    until(lambda: "loaded" in client.get("/metrics").text)
    assert f"Now answering with {path}\n" in capsys.readouterr().out


def until(happened: Callable[[], bool]) -> None:
    for _ in range(2000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def test_an_answer_that_takes_too_long_is_refused(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServedModel, "read", lambda *_: time.sleep(0.3))
    response = upload(ask("photos", limits=Limits(seconds=0.05)), picture())
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["error"]["what"] == "No answer within 0.05 seconds."


def test_too_many_inputs_are_refused(ask: Ask) -> None:
    response = upload(ask("photos", limits=Limits(most_inputs=2)), *[picture()] * 3)
    assert response.status_code in (400, 413)
    assert "error" in response.json()
    texts = ask("texts", limits=Limits(most_inputs=2)).post("/predict", json={"inputs": ["good"] * 3})
    assert texts.status_code == 413
    assert texts.json()["error"]["what"] == "3 inputs in a request."


def test_an_error_of_ours_is_told_as_one_without_its_insides(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServedModel, "read", lambda *_: 1 / 0)
    response = upload(ask("photos"), picture())
    assert response.status_code == 500
    assert response.json()["error"]["what"] == "Internal error in onecycle: ZeroDivisionError."


def test_openapi_describes_the_routes(ask: Ask) -> None:
    client = ask("photos")
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    for path, methods in described["paths"].items():
        for method in methods:
            assert client.request(method, path).status_code != 404
            assert client.request(method, path).status_code != 405
    pages = {"/", "/page.js", "/common.js", "/explanation.js", "/style.css", "/openapi.json"}
    source = Path(app_module.__file__).read_text()
    routes = set(re.findall(r'Route\("(/\w*)"', source)) | pages
    assert described["paths"].keys() == routes - pages
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))
    assert named == described["components"]["schemas"].keys()


def test_the_page_and_its_files_name_nothing_from_outside(ask: Ask) -> None:
    client = ask("photos")
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert name.startswith("data:") or client.get(f"/{name}").status_code == 200
    for name in ("", "page.js", "common.js", "explanation.js", "style.css"):
        assert not re.search(r"https?://|//\w+\.\w", client.get(f"/{name}").text.replace("// ", ""))
    assert "<script>" not in page.text
    assert not re.search(r"\son\w+=|style=", page.text)
