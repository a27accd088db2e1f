"""The wheel and the source distribution are whole, say the truth of themselves, and run where nothing else is."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from outside import ROOT, Built, Environment
from packaging.requirements import Requirement

import onecycle
from runtime.tiny_onnx import write_colours

COLOURS = {"kind": "category", "classes": ["red", "green", "blue"]}


@pytest.fixture(scope="session")
def metadata(built: Built) -> Message:
    with zipfile.ZipFile(built.wheel) as wheel:
        return message_from_bytes(wheel.read(f"onecycle-{onecycle.__version__}.dist-info/METADATA"))


def test_the_wheel_has_every_file_of_the_package(built: Built) -> None:
    package = {name.removeprefix("src/") for name in built.files if name.startswith("src/")}
    assert {name for name in contents(built.wheel) if "dist-info" not in name} == package
    assert "onecycle/py.typed" in package


def test_the_source_distribution_builds_the_same_wheel(built: Built) -> None:
    assert built.wheel.name == built.wheel_of_tree.name
    assert contents(built.wheel) == contents(built.wheel_of_tree)


def test_the_source_distribution_is_the_whole_source(built: Built) -> None:
    """With tests and pages, so that whoever packages it can run them; without what belongs to the repository."""
    with tarfile.open(built.sdist) as archive:
        names = {member.name.split("/", 1)[1] for member in archive if member.isfile()}
    repository = {name for name in built.files if name.startswith((".ci/", ".github/", ".gitignore"))}
    made = {name for name in names if ".egg-info/" in name} | {"PKG-INFO", "setup.cfg"}
    assert names - made == built.files - repository


def test_its_description_and_metadata(built: Built, metadata: Message) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", built.sdist, built.wheel], capture_output=True, text=True
    )
    assert done.stdout.count("PASSED") == 2, done.stdout + done.stderr
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Requires-Python"] == ">=3.11"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(metadata.get_all("Provides-Extra") or ()) == set(project["optional-dependencies"])
    assert set(metadata.get_all("Classifier") or ()) == set(project["classifiers"])


def test_the_demo_runs_in_an_empty_folder(installed: Environment, tmp_path: Path) -> None:
    said = installed.run("-m", "onecycle", "demo", "--out", "made", cwd=tmp_path)
    for name in ("planet", "patterns"):
        assert f"--- {name}: " in said
        assert (tmp_path / "made" / name / "model.onecycle").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    photo = next((tmp_path / "made/data/patterns").rglob("*.jpg"))
    command = [installed.python.with_name("onecycle"), "predict", "made/patterns", photo]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert photo.parent.name in answer


def test_it_is_the_wheel_that_runs(installed: Environment) -> None:
    place = Path(installed.run("-c", "import onecycle; print(onecycle.__file__)").strip())
    assert place.is_relative_to(installed.folder)


@pytest.mark.parametrize("checker", [["mypy", "--strict"], ["pyright"]], ids=["mypy", "pyright"])
def test_checkers_see_its_types(checker: list[str], installed: Environment, tmp_path: Path) -> None:
    """The good line passes, and the bad one is found, so that it was no `Any`."""
    (tmp_path / "user.py").write_text('import onecycle as oc\nitems = oc.ImageList.from_folder("photos")\n')
    (tmp_path / "wrong.py").write_text("import onecycle as oc\noc.ImageList.from_folder(1.5)\n")
    chosen = "--python-executable" if checker[0] == "mypy" else "--pythonpath"
    command = [sys.executable, "-m", *checker, chosen, installed.python]
    right = subprocess.run([*command, "user.py"], capture_output=True, text=True, cwd=tmp_path)
    wrong = subprocess.run([*command, "wrong.py"], capture_output=True, text=True, cwd=tmp_path)
    assert right.returncode == 0, right.stdout + right.stderr
    assert wrong.returncode == 1
    assert "wrong.py:2:" in wrong.stdout
    assert "float" in wrong.stdout


def test_what_the_runtime_needs_brings_no_pytorch(runtime: Environment, metadata: Message, tmp_path: Path) -> None:
    """The packages of the extra are installed as the page says, without those of training."""
    asked = [Requirement(line) for line in metadata.get_all("Requires-Dist") or ()]
    of_extra = [each for each in asked if each.marker and each.marker.evaluate({"extra": "runtime"})]
    needed = [f"{each.name}{each.specifier}" for each in of_extra]
    runtime.install(*needed)
    names = {each["name"] for each in json.loads(runtime.run("-m", "pip", "list", "--format", "json"))}
    assert "onnxruntime" in names
    assert not {"torch", "torchvision", "timm", "transformers", "pyarrow"} & names
    write_colours(tmp_path / "x.onnx", COLOURS)
    code = (
        "import numpy as np; from onecycle.runtime import load_model\n"
        "print(load_model('x.onnx').predict(np.full((8, 12, 3), (0, 255, 0), np.uint8)).label)"
    )
    assert runtime.run("-c", code, cwd=tmp_path) == "green\n"


def contents(wheel: Path) -> dict[str, str]:
    """Return the hash of every file, without the record of hashes."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("RECORD")]
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}
