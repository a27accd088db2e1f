"""The page on which people go through their data, in a real browser; run by `make test-browser`.

ONECYCLE_SCREENSHOTS names a folder for pictures to look at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from browser.chromium import Page, open_chromium
from browser.serving import in_a_thread, serious
from learners import photo_bunch, tag_bunch, tiny
from onecycle.review.cards import Card, Item
from onecycle.review.decisions import CORRECTIONS
from onecycle.review.searches import AnswerSearch, labelled_splits
from onecycle.ship.review_page import opening
from onecycle.ship.review_page.app import create_review_app
from onecycle.train.learner import Learner
from task_data import dots as dots
from text.tiny_texts import review_bunch, save_encoder

ENTER = ("Enter", 13, "\r")


class Copies:
    """Finds the first two training items and the first validation item to be copies of one another."""

    kinds = ("duplicates",)

    def __init__(self, learner: Learner) -> None:
        self.splits = labelled_splits(learner)

    def find(self) -> Iterator[Sequence[Card]]:
        items = [Item(self.splits[split], row, split) for split, row in (("valid", 0), ("train", 0), ("train", 1))]
        yield [Card.of_group("duplicates", 1.0, tuple(items), "They are nearly the same, in valid and train.")]


class Reviewed:
    """A page in the browser, and what its server has written down."""

    def __init__(self, page: Page, folder: Path, address: str) -> None:
        self.page, self.folder, self.address = page, folder, address

    def open(self) -> None:
        self.page.look(width=1100)
        self.page.problems.clear()
        self.page.open(self.address)
        self.page.wait_for("/decided[^;]*$/.test(document.querySelector('#count').textContent)")  # all is searched
        self.page.wait_for("!document.querySelector('#card').hidden || !document.querySelector('#nothing').hidden")

    def decided(self) -> dict[str, tuple[str, str]]:
        if not (self.folder / CORRECTIONS).exists():
            return {}
        rows = oc.Corrections.read(self.folder / CORRECTIONS).standing().to_pylist()
        return {row["item"]: (row["decision"], row["label"]) for row in rows}

    def press(self, key: str, code: int = 0, text: str | None = None) -> None:
        """Press a key, and wait until the page says what came of it."""
        self.page.run("document.querySelector('#status').textContent = ''")
        self.page.press(key, code=code, text=key if text is None else text)
        self.page.wait_for("document.querySelector('#status').textContent")

    def status(self) -> str:
        return str(self.page.run("document.querySelector('#status').textContent"))

    def title(self) -> str:
        return str(self.page.run("document.querySelector('#title').textContent"))

    def item(self) -> str:
        return self.title().partition(": ")[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def learners(
    photos: Path, tagged: Path, dots: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Learner]:
    """Gives an untrained learner of a kind, which is made once."""
    made: dict[str, Learner] = {}

    def texts() -> Learner:
        encoder = save_encoder(tmp_path_factory.mktemp("encoder"))
        return oc.text_learner(review_bunch(encoder, count=20), encoder, progress=False)

    def points() -> Learner:
        images = oc.ImageList.from_csv(dots / "points.csv", folder=dots)
        labelled = images.split_random(0.3, seed=1).label_points("all")
        return tiny(labelled.transform(32, augment=oc.augment.none()).databunch(4))

    makers: dict[str, Any] = {
        "photos": lambda: tiny(photo_bunch(photos)), "tags": lambda: tiny(tag_bunch(tagged)), "texts": texts,
        "points": points,
    }  # fmt: skip

    def learner(kind: str) -> Learner:
        if kind not in made:
            made[kind] = makers[kind]()
        return made[kind]

    return learner


@pytest.fixture
def review(
    page: Page, learners: Callable[[str], Learner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Reviewed]]:
    """Opens a review of a kind in a folder of its own; called again, it is a new server on the same folder."""
    with ExitStack() as stack:

        def opened(kind: str, search: Any = AnswerSearch, **options: Any) -> Reviewed:
            monkeypatch.setattr(opening, "searches_of", lambda learner, most: [search(learner)])
            made = stack.enter_context(opening.open_review(learners(kind), tmp_path, **options))
            app = create_review_app(made, learners(kind), name=kind, written="corrections.parquet")
            reviewed = Reviewed(page, tmp_path, stack.enter_context(in_a_thread(app)))
            reviewed.open()
            return reviewed

        yield opened


def test_a_review_from_start_to_end_with_the_keyboard_alone(review: Callable[..., Reviewed]) -> None:
    reviewed = review("photos", most=4)
    total = int(str(reviewed.page.run("document.querySelector('#count').textContent")).split()[2])
    assert total >= 4
    keys = iter("k2xp")
    made: dict[str, str] = {}
    names = ["blue", "green", "red"]
    while not reviewed.page.run("document.querySelector('#card').hidden"):
        item, key = reviewed.item(), next(keys, "k")
        label, accepts = item.partition("/")[0], reviewed.page.run("!document.querySelector('#accept').hidden")
        predicted = str(reviewed.page.run("document.querySelector('#accept').textContent")).partition(": ")[2]
        key = key if key != "p" or accepts else "k"
        reviewed.press(key)
        made[item] = {"k": "keep", "x": "remove", "2": "keep" if label == names[1] else names[1], "p": predicted}[key]
        assert reviewed.status().startswith(f"Saved: {item} is ")
    assert len(made) == total
    assert reviewed.page.run("document.querySelector('#nothing-title').textContent") == "All is decided."
    assert reviewed.page.run("document.activeElement.id") == "nothing-title"
    said = {
        item: label if decision == "relabel" else decision for item, (decision, label) in reviewed.decided().items()
    }
    assert said == made
    assert reviewed.page.problems == []


def test_a_class_is_found_by_its_beginning(review: Callable[..., Reviewed]) -> None:
    reviewed = review("photos")
    item = reviewed.item()
    other = next(name for name in ("red", "green") if not item.startswith(name))
    reviewed.page.press("/", text="/")
    assert reviewed.page.run("document.activeElement.id") == "typed"
    reviewed.page.call("Input.insertText", text=other[:2].upper())
    assert reviewed.page.run("document.querySelector('#fits').textContent") == f"Enter takes {other}"
    assert reviewed.page.run("document.querySelector('#choices .first').textContent").endswith(other)
    reviewed.press(*ENTER)
    assert reviewed.decided() == {item: ("relabel", other)}
    assert reviewed.page.run("document.activeElement.id") == "title"


def test_reloading_goes_on_where_one_was_also_on_a_new_server(review: Callable[..., Reviewed]) -> None:
    reviewed = review("photos")
    first = reviewed.item()
    reviewed.press("x")
    reviewed.press("s")
    third = reviewed.item()
    reviewed.open()
    assert reviewed.item() == third
    reviewed.press("u")
    assert reviewed.status() == "Taken back."
    second = reviewed.item()
    assert second not in (first, third)
    again = review("photos")
    assert again.item() == second
    assert again.decided() == {first: ("remove", "")}


def test_two_tabs_share_the_work_and_lose_nothing(review: Callable[..., Reviewed], page: Page) -> None:
    reviewed = review("photos")
    with page.another_tab() as tab:
        other = Reviewed(tab, reviewed.folder, reviewed.address)
        other.open()
        first, second = reviewed.item(), other.item()
        assert first != second
        other.press("x")
        reviewed.press("k")
        assert reviewed.decided() == {first: ("keep", ""), second: ("remove", "")}
        other.press("u")
        assert other.item() == second
        assert reviewed.decided() == {first: ("keep", "")}


def test_of_two_decisions_about_one_item_the_second_is_told(review: Callable[..., Reviewed], page: Page) -> None:
    reviewed = review("photos")
    item = reviewed.item()
    with page.another_tab() as tab:
        copy = Reviewed(tab, reviewed.folder, reviewed.address)
        tab.open(reviewed.address)
        tab.run(f"sessionStorage.tab = {page.run('sessionStorage.tab')!r}")  # as a duplicated tab has it
        copy.open()
        assert copy.item() == item
        # Both decide before they look at what is new.
        for one in (reviewed, copy):
            one.page.run("document.querySelector('#status').textContent = ''")
        page.run("document.querySelector('#remove').click()")
        tab.run("document.querySelector('#keep').click()")
        for one in (reviewed, copy):
            one.page.wait_for("document.querySelector('#status').textContent")
        said = {reviewed.status(), copy.status()}
        assert any("decided in another tab" in status for status in said)
        assert len(reviewed.decided()) == 1


def test_tags_are_switched_by_keys_and_saved_with_enter(review: Callable[..., Reviewed]) -> None:
    reviewed = review("tags")
    item = reviewed.item()
    given = reviewed.page.run("[...document.querySelectorAll('#choices input')].map(box => box.checked)")
    reviewed.press("1")
    assert reviewed.status() == f"blue is {'off' if given[0] else 'on'}."
    reviewed.press(*ENTER)
    expected = [name for name, on in zip(("blue", "green", "red"), (not given[0], *given[1:]), strict=True) if on]
    assert reviewed.decided() == {item: ("relabel", str(expected).replace("'", '"'))}
    assert reviewed.page.problems == []


def test_a_key_shows_where_the_model_looked_and_hides_it(review: Callable[..., Reviewed]) -> None:
    reviewed = review("photos")
    shows = "document.querySelector('canvas.heat')?.checkVisibility() ?? null"
    assert reviewed.page.run(shows) is None
    reviewed.page.press("w", text="w")
    reviewed.page.wait_for("document.querySelector('.why .hint')")
    assert reviewed.page.run(shows) is True
    edges = "['left', 'right', 'top', 'bottom'].map(edge => Math.round(document.querySelector(`.input ${name}`)"
    places = [
        reviewed.page.run(f"(name => {edges}.getBoundingClientRect()[edge])))('{name}')") for name in ("img", "canvas")
    ]
    assert places[0] == places[1]
    reviewed.page.press("w", text="w")
    reviewed.page.wait_for(f"!({shows})")
    reviewed.press("k")
    assert reviewed.page.run(shows) is None  # it was of the item before
    assert reviewed.page.problems == []


def test_copies_are_decided_together(review: Callable[..., Reviewed]) -> None:
    reviewed = review("photos", Copies)
    assert reviewed.title() == "Near-duplicates: 3 items"
    names = reviewed.page.run("[...document.querySelectorAll('#items input')].map(box => box.value)")
    ticked = "[...document.querySelectorAll('#items input')].map(box => box.checked)"
    assert reviewed.page.run(ticked) == [False, True, True]  # what is validated stays
    reviewed.page.press("3", text="3")
    assert reviewed.page.run(ticked) == [False, True, False]
    reviewed.press("x")
    assert reviewed.decided() == {names[0]: ("keep", ""), names[1]: ("remove", ""), names[2]: ("keep", "")}
    assert reviewed.page.run("document.querySelector('#nothing-title').textContent") == "All is decided."
    reviewed.press("u")
    assert reviewed.decided() == {}
    assert reviewed.page.problems == []


def test_a_text_is_shown_as_it_is(review: Callable[..., Reviewed]) -> None:
    reviewed = review("texts")
    text = reviewed.page.run("document.querySelector('blockquote').textContent")
    assert len(text.split()) > 3
    reviewed.page.press("w", text="w")
    reviewed.page.wait_for("document.querySelector('.why mark')")
    marked = reviewed.page.run("[...document.querySelectorAll('.why mark')].map(mark => mark.textContent).join(' ')")
    assert marked == " ".join(text.split())
    reviewed.press("k")
    assert len(reviewed.decided()) == 1
    assert reviewed.page.problems == []


def test_points_are_drawn_and_kept_or_removed_and_the_page_says_that_they_cannot_be_changed(
    review: Callable[..., Reviewed],
) -> None:
    reviewed = review("points")
    item = reviewed.item()
    assert reviewed.page.run("document.querySelector('#fixed').textContent") == (
        "A label of this kind cannot be changed here: keep or remove the item, and correct the label where it comes "
        "from."
    )
    assert reviewed.page.run("[...document.querySelectorAll('#keep, #accept, #classes')].map(one => one.hidden)") == [
        False, True, True,
    ]  # fmt: skip
    assert reviewed.page.run("document.querySelector('#keep').textContent") == "KKeep"
    reviewed.page.wait_for("document.querySelector('#items img').naturalWidth > 100")  # label and prediction
    reviewed.press("k")
    assert reviewed.status() == f"Saved: {item} is kept."
    other = reviewed.item()
    reviewed.press("x")
    assert reviewed.decided() == {item: ("keep", ""), other: ("remove", "")}
    assert reviewed.page.problems == []


def test_new_items_are_labelled(review: Callable[..., Reviewed], photos: Path) -> None:
    reviewed = review("photos", Copies, pool=photos / "red")
    reviewed.page.run("[...document.querySelectorAll('#kinds button')].at(-1).click()")
    reviewed.page.wait_for("document.querySelector('#title').textContent.startsWith('New items')")
    item = reviewed.item()
    reviewed.press("3")
    with oc.Journal(reviewed.folder / "model.journal") as journal:
        (row,) = journal.corrections().to_pylist()
    assert (row["name"], row["label"]) == (item, "red")
    assert reviewed.decided() == {}


def test_letters_do_nothing_where_single_keys_are_switched_off(review: Callable[..., Reviewed]) -> None:
    reviewed = review("photos")
    reviewed.page.run("document.querySelector('#keys').click()")
    reviewed.page.press("x", text="x")
    reviewed.page.run("document.querySelector('#keep').click()")
    reviewed.page.wait_for("document.querySelector('#status').textContent.startsWith('Saved')")
    assert [decision for decision, _ in reviewed.decided().values()] == ["keep"]


@pytest.mark.parametrize(("kind", "search"), [
    ("photos", AnswerSearch), ("tags", AnswerSearch), ("texts", AnswerSearch), ("photos", Copies),
])  # fmt: skip
def test_it_can_be_used_by_everybody_on_every_screen(review: Callable[..., Reviewed], kind: str, search: Any) -> None:
    reviewed = review(kind, search)
    reviewed.page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    for width in (1100, 390, 320):
        for dark in (False, True):
            reviewed.page.look(width=width, dark=dark)
            assert reviewed.page.run("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"
            assert serious(reviewed.page) == []
            if folder := os.environ.get("ONECYCLE_SCREENSHOTS"):
                name = f"review_{kind}_{search.__name__}_{width}_{'dark' if dark else 'light'}.png"
                reviewed.page.screenshot(Path(folder) / name)
