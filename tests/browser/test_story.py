"""The whole loop in a real browser: a model in use is corrected, and learns; run by `make test-browser`.

Everything a person does is done: `onecycle train`, `serve` and `learn`, images dropped on the page, and clicks.
"""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path

import pytest

import onecycle as oc
from browser.chromium import Page, open_chromium
from learners import tiny
from noisy_photos import draw
from onecycle.cli import main
from onecycle.ship.serve.served import digest_of
from ship.serve.test_server import process

CARD = "document.querySelector('article')"  # the newest
VIOLET = (160, 40, 210)
TRAIN = ("--epochs", 1, "--sizes", 32, "--lr", "0.01", "--seed", 1, "--augment", "none", "--batch-size", 8)


def shell(*arguments: object) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert not caught.value.code


def drop(page: Page, path: Path) -> str:
    """Drop a file on the page, and return what it is predicted to be."""
    cards = page.run("document.querySelectorAll('article').length")
    content = base64.b64encode(path.read_bytes()).decode()
    page.run(
        "(() => { const data = new DataTransfer();"
        f"const bytes = Uint8Array.from(atob('{content}'), one => one.charCodeAt(0));"
        f"data.items.add(new File([bytes], '{path.name}', {{type: 'image/jpeg'}}));"
        "document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})) })()"
    )
    page.wait_for(f"document.querySelectorAll('article').length === {cards + 1}")
    return str(page.run(f"{CARD}.querySelector('.predicted').textContent")).partition(" (unlike")[0]


def correct(page: Page, label: str) -> None:
    """Say of the newest answer that it is wrong, and what it is."""
    page.run(f"{CARD}.querySelector('[data-verdict=wrong]').click()")
    page.run(f"{CARD}.querySelector('.correction select').value = '{label}'")
    page.run(f"{CARD}.querySelector('.correction').requestSubmit()")
    page.wait_for(f"{CARD}.querySelector('.said').textContent === 'Saved: wrong, it is {label}.'")


def test_a_model_in_use_is_corrected_and_learns(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oc, "vision_learner", partial(tiny, head_steps=100), raising=False)
    run, violet = tmp_path / "run", [draw(tmp_path / f"violet_{n}.jpg", VIOLET, seed=80 + n) for n in range(12)]
    shell("train", photos, "--out", run, *TRAIN)
    with process(run) as (_, port, _), open_chromium(tmp_path / "profile") as page:
        page.open(f"http://127.0.0.1:{port}/")
        page.wait_for("document.querySelector('#summary').textContent")
        before = drop(page, violet[0])
        right = next(name for name in ("green", "red", "blue") if name != before)
        correct(page, right)
        for path in violet[1:10]:
            if drop(page, path) == right:
                page.run(f"{CARD}.querySelector('[data-verdict=right]').click()")
                page.wait_for(f"{CARD}.querySelector('.said').textContent === 'Saved: right.'")
            else:
                correct(page, right)
        capsys.readouterr()
        shell("learn", run)
        assert f"The model in use is {run / 'model-2.onecycle'}." in capsys.readouterr().out
        # the server takes the new version by itself, and the page says so
        page.wait_for("fetch('model').then(answer => answer.json()).then(model => window.named = model.name), "
                      "window.named === 'model-2'")  # fmt: skip
        assert drop(page, violet[0]) == right
        assert page.run("document.querySelector('#name').textContent") == "model-2"
        assert drop(page, violet[11]) == right, "which nobody judged"
        assert page.problems == []
    with oc.Journal(run / "model.journal") as journal:
        said = journal.corrections()
        assert set(said["label"].to_pylist()) == {right}
        assert set(said["model"].to_pylist()) == {digest_of(run / "model.onecycle")}, "which gave the judged answers"
