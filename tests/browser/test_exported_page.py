"""An exported page in a real browser, without a server that computes: it gives the labels that Python gives.

It needs the files of onnxruntime-web: ONNXRUNTIME_WEB names what `npm pack onnxruntime-web` downloaded, or they are in
node_modules. ONECYCLE_PHOTOS names a folder of photos to try besides those that are drawn.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
from browser.chromium import Page, open_chromium
from browser.serving import serious
from learners import photo_bunch, tiny
from onecycle.demo import make_patterns
from onecycle.errors import DataError
from onecycle.ship.exports.web import find_runtime
from onecycle.vision.decode import decode

GIVEN = os.environ.get("ONNXRUNTIME_WEB")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A hundred images: photos as JPEG, of many sizes, and as PNG some of them, grey or see-through too."""
    folder = tmp_path_factory.mktemp("drawn")
    made = sorted(make_patterns(folder / "photos", each=34, pixels=300).rglob("*.jpg"))[:100]
    random, paths = np.random.default_rng(0), []
    for number, path in enumerate(made):
        with Image.open(path) as image:
            image = image.resize(tuple(random.integers(20, 700, 2).tolist()), Image.Resampling.BICUBIC)
            mode = {0: "L", 1: "RGBA"}.get(number % 10, "RGB")
            suffix = "png" if number % 10 < 4 else "jpg"
            paths.append(folder / f"{number:03}.{suffix}")
            image.convert(mode).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[tuple[oc.Learner, str]]:
    """A learner, and the address of its page."""
    folder = tmp_path_factory.mktemp("web")
    try:
        find_runtime(GIVEN, folder)
    except DataError as error:
        pytest.skip(str(error))
    learner = tiny(photo_bunch(photos))
    learner.fit_one_cycle(1)
    page = learner.export(folder / "page", web=True, runtime_files=GIVEN)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(page))) as server:
        running = threading.Thread(target=server.serve_forever)
        running.start()
        yield learner, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        running.join()


@pytest.fixture(scope="module")
def page(exported: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened.open(exported[1])
        yield opened


def in_page(page: Page, path: Path, call: str) -> Any:
    """Return what a function of model.js gives for a file."""
    content = base64.b64encode(path.read_bytes()).decode()
    return page.run(
        "(async () => { const model = await import('/model.js'); "
        f"const bytes = Uint8Array.from(atob('{content}'), (character) => character.charCodeAt(0)); "
        f"return await ({call})(model, new Blob([bytes])); }})()"
    )


@pytest.mark.parametrize("method", ["crop", "squish", "pad"])
@pytest.mark.parametrize("size", [(32, 32), (96, 64)])
def test_pixels_are_those_of_pillow(page: Page, files: list[Path], method: Any, size: tuple[int, int]) -> None:
    """By one at most: newer versions of Pillow filter some images by columns first. JPEGs are decoded smaller there."""
    call = (
        "async (model, file) => { const { modality } = await model.description; const before = { ...modality }; "
        f"Object.assign(modality, {{ size: [{size[0]}, {size[1]}], method: '{method}' }}); "
        "const { data } = await model.read(file); Object.assign(modality, before); return Array.from(data); }"
    )
    for path in [path for path in files if path.suffix == ".png" and path.stem[-1] != "1"][:12]:
        expected = decode(path, size, method).astype(int)
        found = np.array(in_page(page, path, call)).reshape(expected.shape)
        assert np.abs(found - expected).max() <= 1, path


def test_all_labels_are_those_of_python(page: Page, exported: Any, files: list[Path]) -> None:
    more = os.environ.get("ONECYCLE_PHOTOS")
    tried = files + (sorted(Path(more).rglob("*.jp*g"))[:100] if more else [])
    predictor = exported[0].predictor()
    answers = [in_page(page, path, "(model, file) => model.predict(file)") for path in tried]
    expected = [predictor.predict(path) for path in tried]
    assert [one["label"] for one in answers] == [one.label for one in expected]
    apart = [
        abs(one["probabilities"][name] - value)
        for one, other in zip(answers, expected, strict=True)
        for name, value in other.probabilities.items()
    ]
    assert max(apart) < 0.02
    assert page.problems == []


def test_images_that_are_chosen_become_cards(page: Page, exported: Any, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    page.choose_files("#files", files[0], tmp_path / "broken.jpg")
    page.wait_for("document.querySelectorAll('article .probabilities').length === 1 "
                  "&& document.querySelectorAll('article.failed').length === 1")  # fmt: skip
    said = page.run("document.querySelector('article:not(.failed) .predicted').textContent")
    assert said == exported[0].predict(files[0]).label
    assert "no image that the browser reads" in page.run("document.querySelector('.failed .said').textContent")
    assert "Images stay in this browser" in page.run("document.getElementById('summary').textContent")
    assert serious(page) == []
    if folder := os.environ.get("ONECYCLE_SCREENSHOTS"):
        for width in (1200, 390):
            page.look(width=width)
            page.screenshot(Path(folder) / f"exported_page_{width}.png")
