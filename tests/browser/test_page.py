"""The page that a model is used and corrected on, in a real browser; run by `make test-browser`.

ONECYCLE_SCREENSHOTS names a folder for pictures to look at: desktop and phone, light and dark.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from browser.chromium import Page, open_chromium
from browser.serving import in_a_thread, serious
from onecycle.demo import make_patterns
from onecycle.ship.serve.app import create_app
from onecycle.ship.serve.served import load_served
from ship.tiny_bundles import MODELS

CARDS = "document.querySelectorAll('article').length"
TAB, ENTER, SPACE, DOWN = ("Tab", 9, ""), ("Enter", 13, "\r"), (" ", 32, " "), ("ArrowDown", 40, "")


class Served:
    """A page in the browser, and what its server has written down."""

    def __init__(self, page: Page, journal: Path, kind: str) -> None:
        self.page, self.journal, self.kind = page, journal, kind

    def last_words(self) -> list[tuple[Any, ...]]:
        with oc.Journal(self.journal) as journal:
            return [(row["name"], row["verdict"], row["label"]) for row in journal.corrections().to_pylist()]

    def press(self, *keys: tuple[str, int, str]) -> None:
        for key, code, text in keys:
            self.page.press(key, code=code, text=text)

    def press_until(self, key: tuple[str, int, str], focused: str) -> None:
        """Press a key until the element in focus has this text or value."""
        for _ in range(40):
            self.press(key)
            if self.focused() == focused:
                return
        raise AssertionError(f"{focused} was not reached, but {self.focused()}")

    def focused(self) -> str:
        return str(self.page.run("document.activeElement.value || document.activeElement.textContent.trim()"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def serve(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """Opens the page of a tiny untrained model of a kind, whose server is started once."""
    folder, addresses = tmp_path_factory.mktemp("served"), dict[str, str]()
    with ExitStack() as stack:

        def opened(kind: str) -> Served:
            journal = folder / f"{kind}.journal"
            if kind not in addresses:
                served = load_served(MODELS[kind]().write(folder / f"{kind}.onecycle"))
                app = create_app(served, stack.enter_context(oc.Journal(journal)))
                addresses[kind] = stack.enter_context(in_a_thread(app))
            page.look(width=1100)
            page.problems.clear()
            page.open(addresses[kind])
            page.wait_for("document.querySelector('#summary').textContent")
            return Served(page, journal, kind)

        yield opened


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(make_patterns(tmp_path_factory.mktemp("data") / "photos", each=1, pixels=120).rglob("*.jpg"))


def test_a_photo_is_predicted_and_corrected_with_the_keyboard_alone(
    serve: Callable[[str], Served], pictures: list[Path]
) -> None:
    served = serve("photos")
    served.page.choose_files("#files", pictures[0])
    served.page.wait_for(f"{CARDS} === 1")
    predicted = served.page.run("document.querySelector('.predicted').textContent")
    assert served.page.run("document.querySelector('#status').textContent") == f"{pictures[0].name}: {predicted}"
    assert served.last_words() == []
    served.press_until(TAB, "Wrong")
    served.press(ENTER)
    first, second = (name for name in ("blue", "green", "red") if name != predicted)
    assert served.focused() == first
    served.press(DOWN)
    assert served.focused() == second
    served.press(TAB, ENTER)
    served.page.wait_for(f"document.querySelector('.said').textContent === 'Saved: wrong, it is {second}.'")
    assert served.last_words() == [(pictures[0].name, "wrong", second)]
    served.press_until(TAB, "Undo")
    served.press(SPACE)
    served.page.wait_for("document.querySelector('.said').textContent === 'Taken back.'")
    assert served.last_words() == []
    assert served.focused() == "Right"
    served.press(ENTER)
    served.page.wait_for("document.querySelector('.said').textContent === 'Saved: right.'")
    assert served.last_words() == [(pictures[0].name, "right", predicted)]
    assert served.page.problems == []


def test_tags_are_switched_on_and_off(serve: Callable[[str], Served], pictures: list[Path]) -> None:
    served = serve("tags")
    served.page.choose_files("#camera", pictures[0])
    served.page.wait_for(f"{CARDS} === 1")
    served.page.run("document.querySelector('[data-verdict=wrong]').click()")
    predicted = served.page.run(
        "[...document.querySelectorAll('.tags input')].filter(b => b.checked).map(b => b.value)"
    )
    served.page.run("document.querySelectorAll('.tags input')[1].click()")
    served.page.run("document.querySelector('.correction').requestSubmit()")
    served.page.wait_for("document.querySelector('.said').textContent.startsWith('Saved: wrong, it is')")
    expected = sorted({*predicted} ^ {"road"})
    assert served.last_words() == [(pictures[0].name, "wrong", expected)]
    assert served.page.problems == []


def test_numbers_are_corrected_in_fields(serve: Callable[[str], Served], pictures: list[Path]) -> None:
    served = serve("ages")
    served.page.choose_files("#files", pictures[0])
    served.page.wait_for(f"{CARDS} === 1")
    served.page.run("document.querySelector('[data-verdict=wrong]').click()")
    served.page.run("document.querySelector('.correction input[name=age]').value = 41.5")
    served.page.run("document.querySelector('.correction').requestSubmit()")
    served.page.wait_for("document.querySelector('.said').textContent === 'Saved: wrong, it is age 41.5.'")
    assert served.last_words() == [(pictures[0].name, "wrong", '{"age": 41.5}')]
    assert served.page.problems == []


def test_a_reload_keeps_what_was_said_and_tells_what_is_gone(
    serve: Callable[[str], Served], pictures: list[Path]
) -> None:
    served = serve("photos")
    served.page.choose_files("#files", pictures[0], pictures[1])
    served.page.wait_for(f"{CARDS} === 2")
    served.page.run("document.querySelector('[data-verdict=right]').click()")
    served.page.wait_for("document.querySelector('.said').textContent === 'Saved: right.'")
    said = served.last_words()
    assert (said[-1][:2], served.page.run(CARDS)) == ((pictures[1].name, "right"), 2)
    served = serve("photos")
    served.page.wait_for("document.querySelector('#status').textContent")
    assert served.page.run("document.querySelector('#status').textContent") == (
        "The page was loaded again: 2 answers are no longer shown, 1 judgement is saved."
    )
    assert (served.last_words(), served.page.run(CARDS)) == (said, 0)
    assert served.page.problems == []


def test_two_tabs_judge_the_same_photo_and_the_last_word_counts(
    serve: Callable[[str], Served], pictures: list[Path]
) -> None:
    served = serve("photos")
    name = pictures[2].name

    def said() -> list[tuple[Any, ...]]:
        return [(verdict, label) for item, verdict, label in served.last_words() if item == name]

    with served.page.another_tab() as tab:
        other = Served(tab, served.journal, served.kind)
        tab.open(served.page.run("location.href"))
        tab.wait_for("document.querySelector('#summary').textContent")
        for one in (served, other):
            one.page.choose_files("#files", pictures[2])
        for one in (served, other):
            one.page.wait_for(f"{CARDS} === 1")
        for one, verdict, words in ((served, "right", "right"), (other, "unknown", "cannot tell")):
            one.page.run(f"document.querySelector('[data-verdict={verdict}]').click()")
            one.page.wait_for(f"document.querySelector('.said').textContent === 'Saved: {words}.'")
        assert said() == [("unknown", None)]
        tab.run("document.querySelector('[data-verdict=undo]').click()")
        tab.wait_for("document.querySelector('.said').textContent === 'Taken back.'")
        predicted = tab.run("document.querySelector('.predicted').textContent")
        assert said() == [("right", predicted)], "what the other tab said"
        assert [*served.page.problems, *tab.problems] == []


def test_several_files_are_answered_and_a_broken_one_is_told(
    serve: Callable[[str], Served], pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_text("no image")
    served = serve("photos")
    served.page.choose_files("#files", pictures[0], tmp_path / "broken.jpg", pictures[1])
    served.page.wait_for(f"{CARDS} === 3")
    failed = served.page.run("document.querySelector('article.failed').innerText")
    assert "broken.jpg is not an image of a known format.\nExpected a JPEG, PNG" in failed
    assert len(served.page.problems) == 1  # the status 422


def test_a_dropped_and_a_pasted_image_are_predicted(serve: Callable[[str], Served]) -> None:
    served = serve("photos")
    made = (
        "new Promise(done => { const c = document.createElement('canvas'); c.width = c.height = 40; c.toBlob(blob => {"
        "const data = new DataTransfer(); data.items.add(new File([blob], '%s.png', {type: 'image/png'}));"
        "done(data) })})"
    )
    served.page.run(f"{made % 'dropped'}.then(data => document.dispatchEvent(new DragEvent('drop', "
                    "{dataTransfer: data, bubbles: true, cancelable: true})))")  # fmt: skip
    served.page.wait_for(f"{CARDS} === 1")
    served.page.run(f"{made % 'pasted'}.then(data => document.dispatchEvent(new ClipboardEvent('paste', "
                    "{clipboardData: data, bubbles: true})))")  # fmt: skip
    served.page.wait_for(f"{CARDS} === 2")
    names = served.page.run("[...document.querySelectorAll('.item')].map(item => item.textContent)")
    assert names == ["pasted.png", "dropped.png"]


def test_a_text_is_typed_and_its_words_are_explained(serve: Callable[[str], Served]) -> None:
    served = serve("texts")
    served.page.run("document.querySelector('#text').focus()")
    served.page.call("Input.insertText", text="the film was <b>good</b>")
    served.page.press("Enter", modifiers=2, code=13)
    served.page.wait_for(f"{CARDS} === 1")
    assert served.page.run("document.querySelector('blockquote').innerHTML") == "the film was &lt;b&gt;good&lt;/b&gt;"
    served.page.run("document.querySelector('summary').click()")
    served.page.wait_for("document.querySelectorAll('.why mark').length === 4")
    served.page.run("document.querySelector('[data-verdict=unknown]').click()")
    served.page.wait_for("document.querySelector('.said').textContent === 'Saved: cannot tell.'")
    assert served.last_words() == [("text 0", "unknown", None)]
    assert served.page.problems == []


@pytest.mark.parametrize("kind", ["masks", "points"])
def test_masks_and_points_are_drawn_over_the_image(
    serve: Callable[[str], Served], pictures: list[Path], kind: str
) -> None:
    served = serve(kind)
    served.page.choose_files("#files", pictures[0])
    served.page.wait_for(f"{CARDS} === 1")
    drawn = (
        "(() => { const c = document.querySelector('canvas'); const i = document.querySelector('img');"
        "const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "const [a, b] = [c.getBoundingClientRect(), i.getBoundingClientRect()];"
        "return [c.width, c.height, pixels.some(value => value > 0),"
        "['left', 'top', 'right', 'bottom'].every(side => Math.abs(a[side] - b[side]) < 1)] })()"
    )
    assert served.page.run(drawn) == [120, 120, True, True]
    served.page.run("document.querySelector('[data-verdict=wrong]').click()")
    served.page.wait_for("document.querySelector('.said').textContent === 'Saved: wrong.'")
    assert served.page.problems == []


def test_where_a_class_was_seen_is_drawn_over_the_image_while_it_is_asked_for(
    serve: Callable[[str], Served], pictures: list[Path]
) -> None:
    served = serve("photos")
    served.page.choose_files("#files", pictures[0])
    served.page.wait_for(f"{CARDS} === 1")
    assert served.page.run("document.querySelector('canvas.heat')") is None
    served.press_until(TAB, "Where did it look?")
    served.press(ENTER)
    served.page.wait_for("document.querySelector('.why .hint')")
    predicted = served.page.run("document.querySelector('.predicted').textContent")
    assert f"speaks for {predicted}," in served.page.run("document.querySelector('.why .hint').textContent")
    drawn = (
        "(() => { const c = document.querySelector('canvas.heat');"
        "const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return [c.width, c.height, new Set(data).size > 9, c.checkVisibility()] })()"
    )
    assert served.page.run(drawn) == [120, 120, True, True]
    served.press(ENTER)
    served.page.wait_for("!document.querySelector('canvas.heat').checkVisibility()")
    served.press(ENTER)
    served.page.wait_for("document.querySelector('canvas.heat').checkVisibility()")
    assert served.page.problems == []


@pytest.mark.parametrize("kind", ["photos", "tags", "texts", "masks", "points"])
def test_it_can_be_used_by_everybody_on_every_screen(
    serve: Callable[[str], Served], pictures: list[Path], kind: str
) -> None:
    served = serve(kind)
    if kind == "texts":
        served.page.run("document.querySelector('#text').value = 'the film was good'")
        served.page.run("document.querySelector('#texts').requestSubmit()")
    else:
        served.page.choose_files("#files", pictures[0])
    served.page.wait_for(f"{CARDS} === 1")
    if kind in ("photos", "tags", "texts"):
        served.page.run("document.querySelector('.why summary').click()")
        served.page.wait_for("document.querySelector('.why .hint')")
    served.page.run("document.querySelector('[data-verdict=wrong]').click()")
    served.page.wait_for("document.querySelector('.correction').childNodes.length === 0 || "
                         "!document.querySelector('.correction').hidden")  # fmt: skip
    for width in (1100, 390, 320):
        for dark in (False, True):
            served.page.look(width=width, dark=dark)
            assert served.page.run("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"
            assert serious(served.page) == []
            if folder := os.environ.get("ONECYCLE_SCREENSHOTS"):
                served.page.screenshot(Path(folder) / f"{kind}_{width}_{'dark' if dark else 'light'}.png")
