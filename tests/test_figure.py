import subprocess
import sys

import pytest

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
