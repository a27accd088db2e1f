import subprocess
import sys
from pathlib import Path

import pytest

import fake_notebook
from onecycle.figure import grid, wrapped


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

    def test_one_that_is_saved_is_not_shown(self, notebook: fake_notebook.FakeNotebook, tmp_path: Path) -> None:
        grid(1, 1)[0].ready().savefig(tmp_path / "picture.png")
        notebook.end_cell()
        assert notebook.outputs == []
