"""Small data that every test can draw on: a few tiny photos, and learners of a tiny backbone."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach for the hub
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # references are computed with all digits of fp32
os.environ["ONECYCLE_CACHE"] = tempfile.mkdtemp(prefix="onecycle-tests-")  # no test may leave anything in the home
os.environ.setdefault("OMP_NUM_THREADS", "1")  # models this small lose more by waiting for threads than they gain

import hypothesis
import numpy as np
import pytest
from PIL import Image

import pretend_device
from noisy_photos import COLOURS, draw
from onecycle import registry
from shard_files import write_tars

# The same examples every time; new ones are looked for with `pytest --hypothesis-profile=default`.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")
atexit.register(shutil.rmtree, os.environ["ONECYCLE_CACHE"], ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", choices=["pretend"], help="pretend runs all on a CUDA device that is pretended")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--device") == "pretend":
        config.add_cleanup(pretend_device.install().close)


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> None:
    """Every fit ends with a collection of garbage; without the modules' objects that takes no time."""
    gc.freeze()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per colour, ten photos each."""
    root = tmp_path_factory.mktemp("photos")
    for name, colour in COLOURS.items():
        for number in range(10):
            draw(root / name / f"{name}_{number}.jpg", colour, seed=number)
    return root


@pytest.fixture(scope="session")
def shards(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos in four WebDataset tars."""
    return write_tars(photos, tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planet's layout: `labels.csv` with tags by the halves' colours, and `images/`, 24 of them."""
    root = tmp_path_factory.mktemp("tagged")
    rng = np.random.default_rng(0)
    rows = ["image_name,tags"]
    (root / "images").mkdir()
    for number in range(24):
        left, right = rng.choice(sorted(COLOURS), 2)
        pixels = np.zeros((32, 32, 3), np.uint8)
        pixels[:, :16], pixels[:, 16:] = COLOURS[left], COLOURS[right]
        Image.fromarray(pixels).save(root / "images" / f"tile_{number}.png")
        rows.append(f"tile_{number},{' '.join(sorted({left, right}))}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(autouse=True)
def _forget_what_a_test_registers() -> Iterator[None]:
    before = {kind: set(names) for kind, names in registry._registered.items()}
    yield
    for kind, names in registry._registered.items():
        for name in names.keys() - before[kind] - registry.BUILT_IN[kind].keys():
            del names[name]


@pytest.fixture
def only_built_in_names() -> Iterator[None]:
    """Nothing is registered but the library's own parts, whatever other test files have registered."""
    others = {
        kind: {name: names.pop(name) for name in names.keys() - registry.BUILT_IN[kind].keys()}
        for kind, names in registry._registered.items()
    }
    yield
    for kind, names in registry._registered.items():
        for name in names.keys() - registry.BUILT_IN[kind].keys():
            del names[name]
        names |= others[kind]
