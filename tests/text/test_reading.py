"""What training, bundles and exported files share: from a text to token ids, and to a batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from onecycle.data.character_encoding import looks_binary
from onecycle.errors import DataError
from onecycle.text.reading import check_is_text, pad_token_ids, read_text


def test_texts_are_padded_to_the_longest() -> None:
    padded = pad_token_ids([np.array([5, 6, 7], np.int32), np.array([8], np.int32)], pad=1)
    assert (padded.tolist(), padded.dtype) == ([[5, 6, 7], [8, 1, 1]], np.int64)


def test_neither_torch_nor_pyarrow_is_imported() -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(['torch', 'pyarrow', 'transformers', 'rich'])\n"
        "import onecycle.text.reading, onecycle.vision.decode, onecycle.vision.mask_restoring, onecycle.data.decoding"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class TestPaths:
    @pytest.fixture(autouse=True)
    def _review(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "reviews").mkdir()
        for name in ("reviews/1.txt", "my film.txt", "film"):
            (tmp_path / name).write_text("a film")
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize("path", ["reviews/1.txt", "./reviews/1.txt", "my film.txt"])
    def test_one_of_a_file_is_refused_and_both_fixes_work(self, path: str) -> None:
        with pytest.raises(DataError) as caught:
            check_is_text(path)
        assert str(caught.value) == (
            f"{path!r} is the path of a file, and texts are given as texts.\n"
            "Expected a text, or the Path of a text file.\n"
            f"Fix: pass Path({path!r}); a text that looks like a path is predicted with a blank before it: ' {path}'."
        )
        check_is_text(f" {path}")
        check_is_text(Path(path))
        assert read_text(Path(path)) == "a film"

    @pytest.mark.parametrize("path", ["reviews/2.txt", "./x", "/data/file", "review.txt"])
    def test_a_mistyped_one_is_told_and_the_fix_makes_it_a_text(self, path: str) -> None:
        with pytest.raises(DataError, match=rf"^No such file: {path}\.\n.*\nFix: check the path, and pass it as Path"):
            check_is_text(path)
        check_is_text(f" {path}")

    @pytest.mark.parametrize("text", ["film", "a film.", "8.5/10", "good/bad", "", "a\0b/c", "reviews", "film " * 999])
    def test_texts_are_texts(self, text: str) -> None:
        check_is_text(text)
        assert read_text(text) == text

    def test_what_is_no_text_is_refused_and_the_fix_works(self) -> None:
        with pytest.raises(DataError, match=r"Cannot read a text from an int\.\n.*\nFix: pass str\(\.\.\.\)\."):
            read_text(7)
        assert read_text(str(7)) == "7"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_texts_in_any_encoding_are_no_binary_files(encoding: str) -> None:
    assert not looks_binary("A film about Zürich,\nand a good one.\x1b[0m".encode(encoding))


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030", "iso2022_jp"])
def test_asian_encodings_are_no_binary_files(encoding: str) -> None:
    assert not looks_binary(("映画" * 20).encode(encoding))
