"""What a server answers with, and where it came from."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import onecycle as oc
from onecycle.errors import BundleError, ModelError
from onecycle.ship.serve.served import load_served

Bundles = Callable[[str], Path]


def test_the_digest_is_the_files(bundles: Bundles) -> None:
    served = load_served(bundles("photos"))
    assert served.digest == hashlib.sha256(bundles("photos").read_bytes()).hexdigest()
    assert (served.name, served.path) == ("photos", bundles("photos"))


def test_a_run_and_a_model_that_is_loaded_are_served(bundles: Bundles, tmp_path: Path) -> None:
    shutil.copy(bundles("photos"), tmp_path / "model.onecycle")
    assert load_served(tmp_path).path == tmp_path / "model.onecycle"
    loaded = load_served(oc.load_model(bundles("photos")))
    assert (loaded.digest, loaded.path, loaded.state_now()) == ("", None, None)


def test_another_file_in_its_place_is_noticed(bundles: Bundles, tmp_path: Path) -> None:
    path = tmp_path / "model.onecycle"
    shutil.copy(bundles("photos"), path)
    served = load_served(path)
    assert served.state_now() == served.state
    shutil.copy(bundles("photos"), tmp_path / "same")
    (tmp_path / "same").replace(path)
    assert served.state_now() != served.state
    path.unlink()
    assert served.state_now() is None


def test_what_cannot_be_served_is_refused(bundles: Bundles, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"language is a language model\.\nExpected a model that predicts a label"):
        load_served(bundles("language"))
    assert isinstance(oc.load_model(bundles("language")).generate("the film", words=2), str)  # as the fix says
    with pytest.raises(BundleError, match=r"There is no model at .*nothing\.onecycle\."):
        load_served(tmp_path / "nothing.onecycle")
