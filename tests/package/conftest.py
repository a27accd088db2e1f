"""The source that git knows is built once, and installed twice: with everything it asks for, and alone.

Without the packages of the extra `package` there is nothing to collect here.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from outside import ROOT, Built, Environment

collect_ignore_glob = [] if importlib.util.find_spec("twine") else ["test_*.py"]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    files = frozenset(name for name in found if (ROOT / name).is_file())
    for name in files:
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / "source" / name)
    build = [sys.executable, "-m", "build", folder / "source", "--outdir"]
    subprocess.run([*build, folder / "dist"], check=True, capture_output=True)  # the wheel is built from the sdist
    subprocess.run([*build, folder / "tree", "--wheel"], check=True, capture_output=True)
    (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    (wheel_of_tree,) = (folder / "tree").glob("*.whl")
    return Built(files, sdist, wheel, wheel_of_tree)


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The wheel, with pretrained weights for the demo."""
    folder = tmp_path_factory.mktemp("installed")
    made = Environment(folder)
    made.install(f"{built.wheel}[offline]")
    yield made
    shutil.rmtree(folder)  # some gigabytes


@pytest.fixture(scope="session")
def runtime(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The wheel alone, as the page on exporting says for machines without PyTorch."""
    folder = tmp_path_factory.mktemp("runtime")
    made = Environment(folder)
    made.install("--no-deps", built.wheel)
    yield made
    shutil.rmtree(folder)
