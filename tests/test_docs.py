"""The code in README and tutorial runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onecycle.demo import make_biwi, make_camvid, make_patterns, make_planet, make_reviews

ROOT = Path(__file__).parents[1]


@pytest.fixture
def demo_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_planet(tmp_path / "planet", train=60, test=4, pixels=64)
    make_patterns(tmp_path / "photos", each=12, pixels=64)
    make_camvid(tmp_path / "camvid", train=8, valid=2, size=(60, 80))
    make_biwi(tmp_path / "biwi", people=3, frames=4, size=(60, 80))
    make_reviews(tmp_path / "reviews", train=32, test=8, unsup=60)
    (tmp_path / "photos_valid.txt").write_text("dots_000\nrings_001\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "written"), [
    ("README.md", ["submission.csv", "planet.onecycle"]),
    ("docs/tutorial.md", ["batch.png", "lr.png", "history.png", "mistakes.png", "patterns.onecycle", "last.ckpt"]),
    ("docs/masks_and_points.md", ["masks.png", "worst.png", "answers/street_0008.png", "streets.onecycle"]),
    ("docs/memory.md", []),
    ("docs/text.md", ["texts.png", "why.png", "reviews.onecycle"]),
])  # fmt: skip
def test_the_code_on_a_page_runs(page: str, written: list[str], demo_data: Path) -> None:
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL):
        exec(compile(block, page, "exec"), names)
    for name in written:
        assert (demo_data / name).stat().st_size > 0


def test_the_file_tree_in_the_readme_names_every_source_file() -> None:
    readme = (ROOT / "README.md").read_text()
    tree = readme[readme.index("src/onecycle/\n") :]
    files = [path.name for path in (ROOT / "src/onecycle").rglob("*.py") if path.name != "__init__.py"]
    assert [name for name in files if name not in tree] == []
