"""The file format: whole or refused, never half-written, never a pickle."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from learners import assert_same
from onecycle.bundle import CONFIG, TENSORS, layout, read_bundle, write_bundle
from onecycle.errors import BundleError

WEIGHTS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2]), "c": torch.tensor(0.5)}
CONTENT = {"kind": "model", "onecycle": "1.2.3", "classes": ["cat", "dog"], "rate": 0.1}


@pytest.fixture(params=["model.onecycle", "model"], ids=["file", "folder"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_bundle(tmp_path / request.param, WEIGHTS, CONTENT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "model.onecycle", WEIGHTS, CONTENT)


def members(path: Path) -> dict[str, bytes]:
    """The files in a bundle; the weights are called the same in a zip and a folder."""
    if path.is_dir():
        return {CONFIG if entry.name == CONFIG else TENSORS: entry.read_bytes() for entry in path.iterdir()}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, change: Callable[[dict[str, bytes]], Any]) -> None:
    """Take a bundle apart, change it, and put it together again as an editor would: all but the checksums fits."""
    content = members(path)
    change(content)
    if path.is_dir():
        for entry in path.iterdir():
            entry.unlink()
        for name, data in content.items():
            (path / name).write_bytes(data)  # the weights under the name of the first edition
        return
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


class TestRoundTrip:
    def test_tensors_and_config_come_back(self, path: Path) -> None:
        tensors, config = read_bundle(path, "model")
        assert_same(tensors, WEIGHTS)
        assert {name: config[name] for name in CONTENT} == CONTENT
        assert config["schema"] == 1

    def test_it_holds_two_members_and_nothing_else(self, path: Path) -> None:
        assert set(members(path)) == {CONFIG, TENSORS}

    def test_the_same_content_gives_the_same_bytes(self, path: Path, tmp_path: Path) -> None:
        again = write_bundle(tmp_path / "again" / path.name, WEIGHTS, CONTENT)
        assert members(again) == members(path)
        if path.is_file():
            assert again.read_bytes() == path.read_bytes()

    def test_writing_again_replaces_the_whole(self, path: Path) -> None:
        write_bundle(path, {"other": torch.zeros(1)}, {"kind": "model"})
        tensors, config = read_bundle(path, "model")
        assert set(tensors) == {"other"}
        assert "classes" not in config
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_views_and_tensors_that_share_memory_are_written_in_full(self, tmp_path: Path) -> None:
        base = torch.arange(12.0).view(3, 4)
        written = {"one": base, "same": base, "part": base[:, 1], "turned": base.t()}
        assert_same(read_bundle(write_bundle(tmp_path / "x.zip", written, {"kind": "k"}), "k")[0], written)


class TestRefused:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match=r"No such bundle: .*none\.onecycle\.\nExpected a file or folder"):
            read_bundle(tmp_path / "none.onecycle", "model")

    def test_cut_short_anywhere(self, file: Path) -> None:
        whole = file.read_bytes()
        for length in (0, 1, 30, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1):
            file.write_bytes(whole[:length])
            with pytest.raises(BundleError, match=r"is not a bundle, or was cut short[\s\S]*copy or export it again"):
                read_bundle(file, "model")

    def test_a_byte_changed_anywhere_is_refused_or_harmless(self, file: Path) -> None:
        whole = file.read_bytes()
        for place in range(0, len(whole), 3):
            for flip in (0x01, 0xFF):
                file.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
                try:
                    tensors, config = read_bundle(file, "model")
                except BundleError:
                    continue
                # Some bytes of a zip mean nothing, such as its date.
                assert_same(tensors, WEIGHTS)
                assert {name: config[name] for name in CONTENT} == CONTENT

    def test_edited_tensors(self, path: Path) -> None:
        def flip(content: dict[str, bytes]) -> None:
            content[TENSORS] = content[TENSORS][:-3] + b"\x7f" + content[TENSORS][-2:]

        rewrite(path, flip)
        with pytest.raises(BundleError, match=rf"is damaged or was edited: {TENSORS} does not match its checksum"):
            read_bundle(path, "model")

    def test_an_edited_class_name(self, path: Path) -> None:
        rewrite(path, lambda content: content.update({CONFIG: content[CONFIG].replace(b"cat", b"cow")}))
        with pytest.raises(BundleError, match=rf"is damaged or was edited: {CONFIG} does not match its checksum"):
            read_bundle(path, "model")

    @pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b'{"schema": "x"}', b'{"kind": "model"}', b"\xff\xfe"])
    def test_a_config_that_cannot_be_read(self, path: Path, text: bytes) -> None:
        rewrite(path, lambda content: content.update({CONFIG: text}))
        with pytest.raises(BundleError, match=rf"is damaged or was edited: {CONFIG} cannot be read"):
            read_bundle(path, "model")

    @pytest.mark.parametrize("checksums", [None, 3, [], {}, {TENSORS: "../../../etc/passwd"}, {TENSORS: 3}])
    def test_checksums_left_out(self, path: Path, checksums: Any) -> None:
        def drop(content: dict[str, bytes]) -> None:
            config = json.loads(content[CONFIG])
            content[CONFIG] = json.dumps({**config, "checksums": checksums}).encode()

        rewrite(path, drop)
        with pytest.raises(BundleError, match=r"config\.json cannot be read \(it has no checksums\)"):
            read_bundle(path, "model")

    def test_a_newer_schema_says_which_version_reads_it(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(layout, "SCHEMA", 2)
        write_bundle(path, WEIGHTS, CONTENT)
        monkeypatch.undo()
        with pytest.raises(
            BundleError,
            match=r"has schema 2, written by onecycle 1\.2\.3\.\nExpected schema 1 or older.*\nFix: pip install --up",
        ):
            read_bundle(path, "model")

    def test_another_kind(self, path: Path) -> None:
        with pytest.raises(BundleError, match=r"holds a model, not a checkpoint\.\nExpected a checkpoint"):
            read_bundle(path, "checkpoint")

    @pytest.mark.parametrize("name", [CONFIG, TENSORS])
    def test_a_member_missing(self, path: Path, name: str) -> None:
        rewrite(path, lambda content: content.pop(name))
        with pytest.raises(BundleError, match=rf"has no {name}\.\nExpected a whole bundle"):
            read_bundle(path, "model")

    @pytest.mark.parametrize(
        "name", ["data.pkl", "weights.pth", "model.pt", "a.pickle", "pytorch_model.bin", "x.joblib"]
    )
    def test_a_pickle_inside(self, path: Path, name: str) -> None:
        rewrite(path, lambda content: content.update({name: pickle.dumps(1)}))
        with pytest.raises(
            BundleError, match=rf"^{re.escape(str(path))} holds a pickle: {name}\. Loading a pickle can run any code"
        ):
            read_bundle(path, "model")

    def test_a_file_of_torch_save(self, tmp_path: Path) -> None:
        torch.save({"a": torch.zeros(1)}, tmp_path / "model.onecycle")
        with pytest.raises(BundleError, match=r"holds a pickle: .*data\.pkl"):
            read_bundle(tmp_path / "model.onecycle", "model")

    def test_a_bare_pickle(self, tmp_path: Path) -> None:
        (tmp_path / "model.onecycle").write_bytes(pickle.dumps({"a": 1}))
        with pytest.raises(BundleError, match="is not a bundle, or was cut short"):
            read_bundle(tmp_path / "model.onecycle", "model")

    def test_anything_unexpected_inside(self, path: Path) -> None:
        rewrite(path, lambda content: content.update({"setup.py": b"import os"}))
        with pytest.raises(BundleError, match=r"holds unexpected files: setup\.py"):
            read_bundle(path, "model")

    def test_tensors_that_are_none_although_the_checksum_fits(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onecycle.bundle.write.make_header", lambda tensors: (b"no tensors at all", []))
        path = write_bundle(tmp_path / "model.onecycle", WEIGHTS, CONTENT)
        with pytest.raises(BundleError, match=rf"is damaged or was edited: {TENSORS} cannot be read"):
            read_bundle(path, "model")


class TestFullDisk:
    @pytest.fixture
    def full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every write from now on finds no room."""

        def no_room(*arguments: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", no_room)
        monkeypatch.setattr(Path, "write_bytes", no_room)

    def test_the_old_one_survives_and_nothing_half_written_stays(self, path: Path, full: None) -> None:
        with pytest.raises(BundleError, match=r"Cannot write .*: No space left on device[\s\S]*before is untouched"):
            write_bundle(path, {"new": torch.zeros(1000)}, {"kind": "model"})
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]
        assert_same(read_bundle(path, "model")[0], WEIGHTS)

    def test_nothing_stays_where_there_was_none_before(self, tmp_path: Path, full: None) -> None:
        for name in ("new.onecycle", "new"):
            with pytest.raises(BundleError, match="Cannot write"):
                write_bundle(tmp_path / name, WEIGHTS, CONTENT)
        assert list(tmp_path.iterdir()) == []

    def test_the_old_one_comes_back_when_the_new_cannot_take_its_place(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace, calls = os.replace, iter([False, True] if path.is_dir() else [True])

        def sometimes(source: Any, target: Any) -> None:
            if next(calls, False):
                raise OSError(errno.EIO, "Input/output error")
            replace(source, target)

        monkeypatch.setattr(os, "replace", sometimes)
        with pytest.raises(BundleError, match="Cannot write"):
            write_bundle(path, {"new": torch.zeros(1)}, {"kind": "model"})
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]
        assert_same(read_bundle(path, "model")[0], WEIGHTS)


def test_a_place_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError, match="Cannot write"):
        write_bundle(tmp_path / "file" / "model.onecycle", WEIGHTS, CONTENT)


@pytest.mark.parametrize("name", ["photos", "photos.d"])
def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "cat.jpg").write_text("irreplaceable")
    with pytest.raises(
        BundleError, match=rf"{name} is a folder with other files in it: cat\.jpg[\s\S]*model\.onecycle"
    ):
        write_bundle(tmp_path / name, WEIGHTS, CONTENT)
    assert (tmp_path / name / "cat.jpg").read_text() == "irreplaceable"


def test_an_empty_folder_may_become_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert_same(read_bundle(write_bundle(tmp_path / "model", WEIGHTS, CONTENT), "model")[0], WEIGHTS)


def test_a_zip_made_by_other_tools_is_read_unless_it_is_compressed(file: Path) -> None:
    content = members(file)
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        if compression == zipfile.ZIP_STORED:
            assert_same(read_bundle(file, "model")[0], WEIGHTS)
    with pytest.raises(BundleError, match=r"is not a zip as export\(\) writes it: .* is compressed\.\nExpected config"):
        read_bundle(file, "model")
