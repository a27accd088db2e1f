"""The code on the pages runs, prints what the pages say, and CONTRIBUTING names every source file."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import onecycle as oc
from onecycle.demo import make_biwi, make_camvid, make_patterns, make_planet, make_reviews
from onecycle.text.awd_lstm import Dropouts
from onecycle.text.labelled_texts import LabelledTexts
from onecycle.text.language_model_learner import LanguageModelLearner
from onecycle.text.text_list import SplitTexts
from onecycle.train.history import History
from onecycle.vision.image_list import SplitImages
from onecycle.vision.labelled_images import LabelledImages
from published import write_all_formats

pytestmark = pytest.mark.usefixtures("only_built_in_names")

ROOT = Path(__file__).parents[1]
# A block of Python, and the block of text below it, if any, that it prints.
BLOCK = re.compile(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", re.DOTALL)


@pytest.fixture
def demo_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_planet(tmp_path / "planet", train=60, test=4, pixels=64)
    make_patterns(tmp_path / "photos", each=12, pixels=64)
    make_camvid(tmp_path / "camvid", train=8, valid=2, size=(60, 80))
    make_biwi(tmp_path / "biwi", people=3, frames=4, size=(60, 80))
    make_reviews(tmp_path / "reviews", train=32, test=8, unsup=60)
    write_all_formats(tmp_path)
    (tmp_path / "photos_valid.txt").write_text("dots_000\nrings_001\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def page_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module for a page's code, as if it stood in a user's own file."""
    module = ModuleType("my_parts")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize(("page", "written"), [
    ("README.md", ["submission.csv", "planet.onecycle"]),
    ("docs/tutorial.md", ["batch.png", "lr.png", "history.png", "mistakes.png", "patterns.onecycle", "last.ckpt"]),
    ("docs/masks_and_points.md", ["masks.png", "worst.png", "predictions/street_0008.png", "streets.onecycle"]),
    ("docs/memory.md", []),
    ("docs/how_sure.md", ["reliability.png", "sure.onecycle"]),
    ("docs/large_data.md", ["shards.csv"]),
    ("docs/formats.md", ["hub/data/validation-00000-of-00001.parquet"]),
    ("docs/annotations.md", ["coco.png"]),
    ("docs/labels.md", ["doubtful_labels.csv"]),
    ("docs/report.md", ["report.html", "confusion.png", "report_run.csv"]),
    ("docs/serving.md", ["photos.onecycle", "judged.parquet"]),
    ("docs/review.md", ["runs/patterns/corrections.parquet"]),
    ("docs/corrections.md", ["corrections.parquet", "learned.json"]),
    ("docs/exporting.md", ["photos.onnx", "again.onnx", "small.onnx", "photos.pt2"]),
    ("docs/text.md", ["texts.png", "why.png", "reviews.onecycle"]),
    ("docs/from_fastai.md", ["planet.onecycle", "submission.csv", "encoder.onecycle"]),
    ("docs/extending.md", ["small.onecycle", "boxes.onecycle", "series.onecycle", "numbers.onecycle", "run.csv"]),
    *((f"docs/howto/{page.name}", []) for page in sorted((ROOT / "docs/howto").glob("*.md"))),
])  # fmt: skip
@pytest.mark.slow
def test_the_code_on_a_page_runs(
    page: str, written: list[str], demo_data: Path, page_module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    for code, printed in BLOCK.findall((ROOT / page).read_text()):
        exec(compile(code, page, "exec"), page_module.__dict__)
        out = capsys.readouterr().out
        if printed:
            assert out == printed
    for name in written:
        assert (demo_data / name).stat().st_size > 0


def test_the_file_tree_in_contributing_names_every_source_file_and_no_other() -> None:
    package = ROOT / "src/onecycle"
    files = {str(path.relative_to(package)) for path in package.rglob("*.py") if path.name != "__init__.py"}
    assert files_in_tree((ROOT / "CONTRIBUTING.md").read_text()) - {"__init__.py"} == files


def files_in_tree(page: str) -> set[str]:
    """Return the paths in the tree, where a line names a folder, or files of the folder above it."""
    tree = page[page.index("src/onecycle/\n") :].split("```")[0].splitlines()[1:]
    files: set[str] = set()
    folders: list[str] = []
    for line in tree:
        depth = (len(line) - len(line.lstrip())) // 2
        if not depth:
            break
        folders = folders[: depth - 1]
        files |= {"/".join([*folders, name]) for name in re.findall(r"\b\w+\.py\b", line)}
        if folder := re.match(r" *(\w+)/", line):
            folders.append(folder[1])
    return files


def test_every_name_in_the_tables_for_fastai_users_exists() -> None:
    """The last column names only methods and functions that onecycle has."""
    page = (ROOT / "docs/from_fastai.md").read_text()
    ours = [row.split(" | ")[-1] for row in page.splitlines() if row.startswith("| `")]
    names = set(re.findall(r"\.(\w+)\(", " ".join(ours))) | set(re.findall(r"\boc\.(\w+)", " ".join(ours)))
    stages = [
        oc.ImageList,
        oc.TextList,
        oc.DataBunch,
        LanguageModelLearner,
        oc.Predictions,
        History,
        Dropouts,
        oc.metrics,
    ]
    stages += [SplitImages, SplitTexts, LabelledImages, LabelledTexts, oc, oc.augment]
    assert len(names) > 50
    assert {name for name in names if not any(name in dir(stage) for stage in stages)} == set()


@pytest.mark.parametrize("name", ["planet", "camvid", "head_pose", "imdb"])
def test_the_lesson_s_notebooks_are_saved_as_they_were_executed(name: str) -> None:
    """In CI, `make test-notebooks` executes them again."""
    notebook = json.loads((ROOT / f"docs/lesson3/{name}.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if "outputs" in cell]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert all(cell["execution_count"] for cell in cells)
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert any("<th>valid loss</th>" in "".join(output.get("data", {}).get("text/html", "")) for output in outputs)
