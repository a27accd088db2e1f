"""Writing: the safetensors format, no second copy in memory, and the old bundle or the new one whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from bundle.concurrent_writers import endless_writer, kill_once, read_numbered
from bundle.endless_writer import write_numbered
from learners import assert_same
from onecycle.bundle import CONFIG, TENSORS, layout, read_bundle, write_bundle
from onecycle.bundle.replace import writing
from onecycle.bundle.tensors import DTYPES
from onecycle.errors import BundleError

EVERY_TYPE: dict[str, Tensor] = {
    **{f"of {code}": torch.tensor([[0, 1, 1]]).to(dtype) for code, dtype in DTYPES.items()},
    "scalar": torch.tensor(3.5), "empty": torch.zeros(0, 4), 'é"\n': torch.ones(2),
    "part": torch.arange(12.0).view(3, 4)[:, 1],
}  # fmt: skip


def folder_weights(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.name != CONFIG)


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with `path` its first argument."""
    head = "import resource, signal, sys, torch; from pathlib import Path; from onecycle.bundle import *\n"
    head += "path = Path(sys.argv[1])\n"
    memory = "def peak(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1024\n"
    return subprocess.run(
        [sys.executable, "-c", head + memory + code, *map(str, arguments)], capture_output=True, text=True, check=False
    )


class TestFormat:
    def test_safetensors_reads_it_and_would_write_the_same(self, tmp_path: Path) -> None:
        path = write_bundle(tmp_path / "model", EVERY_TYPE, {"kind": "k"})
        (weights,) = folder_weights(path)
        theirs = safetensors.torch.load(weights.read_bytes())
        assert {name: (t.dtype, t.shape) for name, t in theirs.items()} == {
            name: (t.dtype, t.shape) for name, t in EVERY_TYPE.items()
        }
        plain = {name: tensor.contiguous().clone() for name, tensor in EVERY_TYPE.items()}
        assert weights.read_bytes() == safetensors.torch.save(plain)

    def test_every_type_comes_back(self, tmp_path: Path) -> None:
        again, _ = read_bundle(write_bundle(tmp_path / "x.zip", EVERY_TYPE, {"kind": "k"}), "k")
        as_bytes = {name: tensor.contiguous().reshape(-1).view(torch.uint8) for name, tensor in EVERY_TYPE.items()}
        assert_same({name: tensor.reshape(-1).view(torch.uint8) for name, tensor in again.items()}, as_bytes)

    def test_a_tensor_that_the_format_lacks(self, tmp_path: Path) -> None:
        sparse = torch.eye(2).to_sparse()
        with pytest.raises(BundleError, match=r"s is a tensor of torch\.float32, torch\.sparse_coo[\s\S]*leave it out"):
            write_bundle(tmp_path / "x.zip", {"s": sparse}, {"kind": "k"})
        write_bundle(tmp_path / "x.zip", {}, {"kind": "k"})

    def test_a_description_that_would_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(layout, "LARGEST_CONFIG", 10_000)
        with pytest.raises(BundleError, match=r"takes \d+,\d+ bytes and \d+ values[\s\S]*keep large data in tensors"):
            write_bundle(tmp_path / "x.zip", {}, {"kind": "k", "text": "x" * 10_000})
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("name", ["large.onecycle", "large"])
@pytest.mark.slow
def test_one_copy_of_the_weights_is_in_memory(name: str, tmp_path: Path) -> None:
    write = (
        "base = torch.ones(10_000_000)\n"
        "tensors = {str(number): base[:-1] for number in range(5)} | {'turned': base.view(10, -1).t()}\n"
        "write_bundle(path.with_name('small'), {'a': base[:3]}, {})\n"
        "before = peak(); write_bundle(path, tensors, {'kind': 'large'}); print(peak() - before)\n"
    )
    read = "before = peak(); tensors, _ = read_bundle(path, 'large'); print(peak() - before)\n"
    size = 6 * 40_000_000 / 2**20
    assert float(run(write, tmp_path / name).stdout) < 0.3 * size  # one tensor that is turned is copied
    assert float(run(read, tmp_path / name).stdout) < 1.2 * size


@pytest.mark.parametrize("name", ["model.onecycle", "model"])
def test_where_files_may_not_grow_the_old_one_stays(name: str, tmp_path: Path) -> None:
    """The limit of the process stands for a full disk: the system refuses the write in the same way."""
    write_numbered(tmp_path / name, 1)
    code = (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: write_bundle(path, {'new': torch.zeros(100_000)}, {'kind': 'numbered'})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    said = run(code, tmp_path / name).stdout
    assert said.startswith("BundleError Cannot write")
    assert "File too large.\nExpected a folder with enough room" in said
    assert read_numbered(tmp_path / name) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert list(tmp_path.rglob("*.part")) == []


class TestLeftovers:
    @pytest.mark.parametrize("name", ["model.onecycle", "model"])
    def test_those_of_a_dead_writer_go_and_those_of_a_living_one_stay(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / name
        write_numbered(path, 0)
        code = (
            "import os\n"
            "from onecycle.bundle.replace import writing\n"
            "folder, stem = (path.parent, path.name) if path.suffix else (path, 'weights')\n"
            "with writing(folder, stem) as part:\n"
            "    part.file.write(bytes(1000)); part.file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        assert run(code, path).returncode == -signal.SIGKILL
        folder, stem = (tmp_path, name) if path.suffix else (path, "weights")
        (dead,) = folder.glob(f".{stem}.*.part")
        assert read_numbered(path) == 0
        with writing(folder, f"{stem}") as living:  # this removes the dead one
            assert not dead.exists()
            (own,) = folder.glob(f".{stem}.*.part")
            write_numbered(path, 1)
            assert own.exists()
            living.file.write(b"still here")
        assert not own.exists()
        assert read_numbered(path) == 1

    def test_weights_that_no_config_names_go(self, tmp_path: Path) -> None:
        write_numbered(tmp_path / "model", 0)
        (tmp_path / "model" / layout.weights_name("0" * 64)).write_bytes(b"of a writer that was killed")
        write_numbered(tmp_path / "model", 1)
        assert len(folder_weights(tmp_path / "model")) == 1

    def test_files_of_others_stay(self, tmp_path: Path) -> None:
        for name in (".model.onecycle.part", ".other.onecycle.0123456789abcdef.part", "model.onecycle.bak"):
            (tmp_path / name).touch()
        write_numbered(tmp_path / "model.onecycle", 1)
        assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.slow
class TestFolders:
    def test_one_of_the_first_edition_is_read_and_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "model"
        write_numbered(path, 3)
        folder_weights(path)[0].rename(path / TENSORS)
        assert read_numbered(path) == 3
        write_numbered(path, 4)
        assert read_numbered(path) == 4
        assert len(folder_weights(path)) == 1

    @pytest.mark.parametrize("name", ["model", "model.onecycle"])
    def test_no_read_fails_beside_a_writer(self, name: str, tmp_path: Path) -> None:
        with endless_writer(tmp_path / name) as writer:
            seen = [read_numbered(tmp_path / name) for _ in range(150)]
            while set(seen) != {0, 1} and len(seen) < 100_000:  # a busy machine may not have written in between
                seen.append(read_numbered(tmp_path / name))
            assert writer.poll() is None
        assert set(seen) == {0, 1}

    def test_two_writers_at_once_leave_one_of_their_bundles(self, tmp_path: Path) -> None:
        path = tmp_path / "model"
        with endless_writer(path) as first, endless_writer(path, contents=3) as second:
            for _ in range(50):
                assert read_numbered(path) in (0, 1, 2)
            assert first.poll() is second.poll() is None

    @pytest.mark.parametrize("name", ["model", "model.onecycle"])
    def test_a_killed_writer_leaves_a_whole_bundle(self, name: str, tmp_path: Path) -> None:
        assert kill_once(tmp_path / name, seconds=0.013) in (0, 1)
        write_numbered(tmp_path / name, 5)
        assert read_numbered(tmp_path / name) == 5
        assert not list(tmp_path.rglob("*.part"))

    def test_weights_that_are_gone(self, tmp_path: Path) -> None:
        write_numbered(tmp_path / "model", 1)
        (weights,) = folder_weights(tmp_path / "model")
        weights.rename(weights.with_name(layout.weights_name("f" * 64)))
        with pytest.raises(BundleError, match=rf"has no {TENSORS}\.\nExpected a whole bundle"):
            read_numbered(tmp_path / "model")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_one_that_may_not_be_read(tmp_path: Path) -> None:
    write_numbered(tmp_path / "x.onecycle", 1)
    (tmp_path / "x.onecycle").chmod(0)
    with pytest.raises(BundleError, match=r"Cannot read .*Permission denied[\s\S]*check its permissions"):
        read_numbered(tmp_path / "x.onecycle")


def test_weights_that_do_not_fit_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_numbered(tmp_path / "x.onecycle", 1)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    with pytest.raises(BundleError, match=r"take 0\.0 GB, and 0\.0 GB of memory are free[\s\S]*close other programs"):
        read_numbered(tmp_path / "x.onecycle")
    monkeypatch.undo()
    assert read_numbered(tmp_path / "x.onecycle") == 1
