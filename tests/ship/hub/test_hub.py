"""Models go to a hub and come back the same; what comes from there runs no code; errors say what to do."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

pytest.importorskip("huggingface_hub")
pytest.importorskip("uvicorn")

from huggingface_hub import constants
from huggingface_hub.repocard import metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results

import onecycle as oc
from learners import tag_bunch, tiny
from onecycle.cli import main
from onecycle.errors import BundleError, DataError, ModelError
from onecycle.ship.hub.card import card_of
from onecycle.ship.hub.push import push_bundle
from onecycle.train.learner import Learner
from ship.hub.fake_hub import TOKEN, FakeHub, serving


@pytest.fixture(scope="module")
def learner(tagged: Path) -> Learner:
    learner = tiny(tag_bunch(tagged), metrics=["f1"])
    learner.fit(1, 1e-2)
    learner.calibrate()
    return learner


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[FakeHub, str]]:
    hub = FakeHub()
    with serving(hub.app) as url:
        yield hub, url


@pytest.fixture
def hub(address: tuple[FakeHub, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    """An empty hub that the client talks to, with a token and a cache of its own."""
    hub, url = address
    hub.repositories.clear()
    hub.requests.clear()
    hub.refusal = None
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


class TestPush:
    def test_the_model_comes_back_the_same(self, learner: Learner, hub: FakeHub) -> None:
        assert learner.push_to_hub("user/tags").endswith("/user/tags")
        assert sorted(hub.files("user/tags")) == ["README.md", "config.json", "model.safetensors"]
        paths = learner.data.valid.dataset.rows.located()
        for model in (oc.from_hub("user/tags"), oc.load_model("hf://user/tags")):
            assert torch.equal(model.probabilities(paths), learner.predictor().probabilities(paths))
            assert model.threshold == learner.threshold
            assert model.card["metrics"] == learner.state.weights_record.metrics  # type: ignore[union-attr]

    def test_all_files_are_one_commit(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags", private=True)
        assert len(hub.repositories["user/tags"].commits) == 2
        assert hub.repositories["user/tags"].private

    def test_a_revision_is_a_branch_of_its_own(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags", revision="v1")
        assert hub.files("user/tags", "main") == {}
        commit = hub.repositories["user/tags"].branches["v1"]
        assert oc.from_hub("user/tags", revision="v1").classes == learner.data.classes
        assert oc.load_model(f"hf://user/tags@{commit}").classes == learner.data.classes

    def test_a_bundle_is_pushed_as_a_learner_is(self, learner: Learner, hub: FakeHub, tmp_path: Path) -> None:
        push_bundle(learner.export(tmp_path / "tags.onecycle"), "user/one")
        learner.push_to_hub("user/two")
        assert hub.files("user/one")["model.safetensors"] == hub.files("user/two")["model.safetensors"]

    def test_pushing_again_keeps_what_people_wrote_below(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags")
        files = hub.files("user/tags")
        files["README.md"] = files["README.md"].replace(b"# tags", b"# old") + b"\nOurs.\n"
        learner.push_to_hub("user/tags")
        card = hub.files("user/tags")["README.md"].decode()
        assert "# tags" in card
        assert card.endswith("\nOurs.\n")

    def test_a_card_that_somebody_wrote_stays(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags")
        hub.files("user/tags")["README.md"] = b"Mine."
        with pytest.warns(UserWarning, match=r"user/tags keeps its own README\.md, which onecycle did not write"):
            learner.push_to_hub("user/tags")
        assert hub.files("user/tags")["README.md"] == b"Mine."

    def test_a_model_of_another_library_is_not_replaced(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/bert")
        hub.files("user/bert")["config.json"] = b'{"model_type": "bert"}'
        with pytest.raises(
            BundleError, match=r"user/bert holds a model of another library: .*\nExpected a new repository"
        ):
            learner.push_to_hub("user/bert")
        assert hub.files("user/bert")["config.json"] == b'{"model_type": "bert"}'
        learner.push_to_hub("user/another")


class TestCard:
    def test_its_metadata_are_what_the_hub_reads(self, learner: Learner, hub: FakeHub, tmp_path: Path) -> None:
        learner.push_to_hub("user/tags")
        path = tmp_path / "README.md"
        path.write_bytes(hub.files("user/tags")["README.md"])
        metadata = metadata_load(path)
        assert metadata is not None
        assert (metadata["library_name"], metadata["pipeline_tag"]) == ("onecycle", "image-classification")
        assert metadata["tags"] == ["onecycle", "multi-label"]
        name, results = model_index_to_eval_results(metadata["model-index"])
        assert name == "tags"
        assert [(one.metric_type, one.metric_value) for one in results] == list(
            learner.state.weights_record.metrics.items()  # type: ignore[union-attr]
        )

    def test_it_says_how_to_use_it_and_what_it_is(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags")
        card = hub.files("user/tags")["README.md"].decode()
        for text in (
            'oc.from_hub("user/tags")', "onecycle predict hf://user/tags", "`blue`, `green`, `red`",
            "On 5 validation items", "| training items | 19 |", "expected calibration error", "## Limits",
        ):  # fmt: skip
            assert text in card

    def test_names_of_classes_are_shown_as_they_are(self) -> None:
        config = {
            "model": {"kind": "image_model"}, "modality": {"kind": "images"}, "onecycle": "1",
            "target": {"kind": "category", "classes": ["a`b", "<script>\nx"]},
            "card": {"metrics": {"accuracy": float("nan")}},
        }  # fmt: skip
        card = card_of(config, "user/x")
        assert "`a'b`, `<script> x`" in card
        assert "model-index" not in card
        assert "nan" not in card


class TestSafety:
    def test_only_the_two_files_are_downloaded(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags")
        hub.files("user/tags").update({"evil.pkl": b"x", "modeling.py": b"raise SystemExit"})
        hub.requests.clear()
        oc.from_hub("user/tags")
        assert {path.rpartition("/")[2] for method, path in hub.requests} == {"config.json", "model.safetensors"}

    def test_a_pickle_under_the_weights_name_is_refused(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags")
        hub.files("user/tags")["model.safetensors"] = pickle.dumps({"a": 1})
        with pytest.raises(BundleError, match=r"damaged or was edited: model\.safetensors does not match its checksum"):
            oc.from_hub("user/tags")

    def test_an_edited_config_is_refused(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags")
        config = json.loads(hub.files("user/tags")["config.json"])
        config["target"]["classes"].reverse()
        hub.files("user/tags")["config.json"] = json.dumps(config).encode()
        with pytest.raises(BundleError, match="damaged or was edited"):
            oc.from_hub("user/tags")

    def test_both_files_are_of_one_commit(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags")
        hub.requests.clear()
        oc.from_hub("user/tags")
        commit = hub.repositories["user/tags"].branches["main"]
        assert {path for _, path in hub.requests if "safetensors" in path} == {
            f"/user/tags/resolve/{commit}/model.safetensors"
        }


class TestErrors:
    def test_without_a_token(self, learner: Learner, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(BundleError) as caught:
            learner.push_to_hub("user/tags")
        what, expected, fix = str(caught.value).splitlines()
        assert what == "The hub does not give access to user/tags without a valid token."
        assert expected == f"Expected a token with the right to it, from {constants.ENDPOINT}/settings/tokens."
        assert fix == "Fix: set HF_TOKEN, run hf auth login, or pass token=."
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        learner.push_to_hub("user/tags")
        monkeypatch.delenv("HF_TOKEN")
        learner.push_to_hub("user/tags", token=TOKEN)

    def test_no_such_repository(self, learner: Learner, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
        learner.push_to_hub("user/tags", private=True)
        monkeypatch.delenv("HF_TOKEN")
        for name in ("user/tgas", "user/tags"):
            with pytest.raises(BundleError) as caught:
                oc.from_hub(name)
            assert str(caught.value).splitlines() == [
                f"There is no {name} on the hub, or it is private.",
                "Expected a repository that exists and may be read.",
                f"Fix: check the name at {constants.ENDPOINT}/{name}; if it is private, set HF_TOKEN or run hf auth "
                "login.",
            ]
        assert oc.from_hub("user/tags", token=TOKEN).classes == learner.data.classes

    def test_no_such_revision(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags")
        with pytest.raises(BundleError, match=r"user/tags has no such revision\.\nExpected one of its branches, tags"):
            oc.from_hub("user/tags", revision="v2")
        assert oc.from_hub("user/tags").classes == learner.data.classes

    def test_a_repository_without_a_model(self, learner: Learner, hub: FakeHub) -> None:
        learner.push_to_hub("user/tags", revision="other")
        with pytest.raises(BundleError, match=r"user/tags holds no model of onecycle\.\nExpected config\.json and"):
            oc.from_hub("user/tags")
        learner.push_to_hub("user/tags")
        assert oc.from_hub("user/tags").classes == learner.data.classes

    def test_no_network(self, learner: Learner, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        learner.push_to_hub("user/tags")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        for call in (lambda: oc.from_hub("user/tags"), lambda: learner.push_to_hub("user/tags")):
            monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
            with pytest.raises(BundleError) as caught:
                call()
            what, expected, fix = str(caught.value).splitlines()
            assert what.startswith("The hub could not be reached for user/tags: ")
            assert expected == f"Expected a connection to {constants.ENDPOINT}."
            assert fix.startswith("Fix: connect to the network, or unset HF_HUB_OFFLINE;")
        path = learner.export(tmp_path / "tags.onecycle")
        assert oc.load_model(path).classes == learner.data.classes
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        assert oc.from_hub("user/tags").classes == learner.data.classes
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert oc.from_hub("user/tags").classes == learner.data.classes, "from the cache"

    def test_a_name_that_is_none(self, learner: Learner, hub: FakeHub) -> None:
        with pytest.raises(DataError, match=r"'user/a b' is not the name of a repository\.\nExpected user/name, of"):
            learner.push_to_hub("user/a b")
        learner.push_to_hub("user/a_b")
        hub.requests.clear()
        for name in ("a_b", "hf://user/a_b", "/a_b"):
            with pytest.raises(DataError, match=rf"'{name}' is not the name .*\nExpected user/name, .*\nFix: pass it"):
                oc.from_hub(name)
        assert hub.requests == [], "it is refused without asking"
        assert oc.from_hub("user/a_b").classes == learner.data.classes

    def test_without_the_package(self, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(
            ModelError,
            match=r"huggingface_hub is not installed\.\nExpected huggingface_hub, for models on the hub\.\n"
            r'Fix: pip install "onecycle\[hub\]"',
        ):
            learner.push_to_hub("user/tags")

    def test_what_reads_files_alone_says_so(
        self, learner: Learner, hub: FakeHub, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["info", "hf://user/tags"])
        assert ended.value.code == 2
        assert capsys.readouterr().err.splitlines() == [
            "The model user/tags is on the hub, and is read as a file here.",
            "Expected a file, or the folder of a run.",
            "Fix: use onecycle predict or onecycle export, or in Python oc.from_hub('user/tags').",
        ]
        learner.push_to_hub("user/tags")
        assert oc.from_hub("user/tags").classes == learner.data.classes

    def test_any_other_answer_is_told(self, learner: Learner, hub: FakeHub) -> None:
        hub.refusal = 413, "Your quota is used up."
        with pytest.raises(BundleError) as caught:
            learner.push_to_hub("user/tags")
        assert str(caught.value).splitlines() == [
            "The hub answered 413 for user/tags: Your quota is used up.", "Expected an answer without an error.",
            "Fix: do what it says, or try again later.",
        ]  # fmt: skip
        hub.refusal = None
        learner.push_to_hub("user/tags")


def test_from_the_shell(learner: Learner, hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = learner.export(tmp_path / "tags.onecycle")
    for arguments in (["push", str(path), "user/tags", "--private"], ["predict", "hf://user/tags", _an_item(learner)]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code
    told = capsys.readouterr().out
    assert "Next: onecycle predict hf://user/tags INPUTS..." in told
    assert hub.repositories["user/tags"].private


def _an_item(learner: Learner) -> str:
    return str(learner.data.valid.dataset.rows.located()[0])
