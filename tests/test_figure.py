import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import fake_notebook
from onecycle.figure import grid, wrapped, write_below


@pytest.mark.parametrize(
    ("count", "columns", "shape"), [(1, 4, (1, 1)), (3, 4, (1, 3)), (5, 4, (2, 4)), (0, 4, (1, 1))]
)
def test_a_grid_has_room_for_all_and_no_row_more(count: int, columns: int, shape: tuple[int, int]) -> None:
    figure, axes = grid(count, columns)
    assert len(list(axes)) == len(figure.axes) == shape[0] * shape[1]
    assert figure.axes[0].get_gridspec().get_geometry() == shape
    assert not any(one.axison for one in figure.axes)


def test_a_picture_shows_itself_in_notebooks() -> None:
    figure, _ = grid(1, 1)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_picture_in_html_says_what_it_shows_to_those_who_do_not_see_it() -> None:
    figure, _ = grid(2, 2)
    for axes, title in zip(figure.axes, ('a "cat"\non a <mat>', "a dog"), strict=True):
        axes.set_title(title)
    assert figure.to_html().startswith('<img alt="a &quot;cat&quot; on a &lt;mat&gt;; a dog" src="data:')


def test_captions_are_broken_into_lines() -> None:
    assert wrapped("clear") == "clear"
    assert all(len(line) <= 30 for line in wrapped("agriculture clear habitation primary road water").split("\n"))


def test_figures_leave_pyplot_alone() -> None:
    code = "import sys; from onecycle.figure import grid; grid(4, 2); assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


class TestInANotebook:
    @pytest.fixture
    def notebook(self, monkeypatch: pytest.MonkeyPatch) -> fake_notebook.FakeNotebook:
        return fake_notebook.install(monkeypatch)

    def test_a_picture_that_is_not_the_last_line_is_shown_at_the_end_of_its_cell(
        self, notebook: fake_notebook.FakeNotebook
    ) -> None:
        first, second = grid(1, 1)[0].ready(), grid(1, 1)[0].ready()
        notebook.display(second)
        notebook.end_cell()
        assert [output.format for output in notebook.outputs] == ["png", "png"]
        notebook.end_cell()
        assert len(notebook.outputs) == 2, f"{first} is shown once"

    def test_it_can_be_shown_again_in_a_later_cell(self, notebook: fake_notebook.FakeNotebook) -> None:
        picture = grid(1, 1)[0].ready()
        notebook.end_cell()
        notebook.display(picture)
        assert len(notebook.outputs) == 2

    def test_names_of_items_are_shown_as_text_to_be_copied(self, notebook: fake_notebook.FakeNotebook) -> None:
        picture, _ = grid(2, 2)
        picture.items = ("a<b>.jpg", "c.jpg")
        notebook.display(picture)
        image, names = notebook.outputs
        assert image.format == "png"
        assert names._repr_html_() == (
            "<details><summary>2 items</summary><div>a&lt;b&gt;.jpg</div><div>c.jpg</div></details>"
        )

    def test_texts_are_a_table(self, notebook: fake_notebook.FakeNotebook) -> None:
        picture, _ = grid(1, 1)
        picture.html = "<table></table>"
        notebook.display(picture.ready())
        notebook.end_cell()
        assert notebook.html == ["<table></table>"]
        assert picture.to_html() == "<table></table>"

    def test_one_that_is_saved_is_not_shown(self, notebook: fake_notebook.FakeNotebook, tmp_path: Path) -> None:
        grid(1, 1)[0].ready().savefig(tmp_path / "picture.png")
        notebook.end_cell()
        assert notebook.outputs == []


class TestRoomForEverything:
    def test_a_legend_is_whole_with_one_image_too(self) -> None:
        from matplotlib.patches import Patch

        figure, axes = grid(1, 4)
        next(axes).imshow(np.zeros((8, 16)))
        names = [f"a class with a long name {number}" for number in range(6)]
        figure.legend(handles=[Patch(label=name) for name in names], loc="outside lower center", ncols=2)
        figure.fit_rows()
        extent = figure.legends[0].get_window_extent(FigureCanvasAgg(figure).get_renderer())
        assert 0 < extent.width < figure.get_figwidth() * figure.dpi
        assert figure.get_figheight() * figure.dpi > extent.height + 8 / 16 * 2.2 * figure.dpi

    def test_rows_of_texts_are_as_high_as_the_longest(self) -> None:
        heights = []
        for lines in (2, 20):
            figure, axes = grid(2, 4)
            next(axes).text(0, 0, "\n".join(["text"] * lines))
            figure.fit_rows()
            heights.append(figure.get_figheight())
        assert heights[0] < 0.6 < 2 < heights[1]

    def test_a_long_name_below_a_picture_keeps_its_end(self) -> None:
        figure, axes = grid(1, 1)
        write_below(next(axes), "a_folder/" * 9 + "name.jpg", "", "loss 1.00")
        name, loss = figure.axes[0].texts[0].get_text().split("\n")
        assert name.startswith("a_folder…")
        assert name.endswith("a_folder/name.jpg")
        assert len(name) == 40
        assert loss == "loss 1.00"
