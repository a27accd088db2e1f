"""A cache changes how long reading takes, and nothing else."""

import errno
import fcntl
import multiprocessing
import os
import re
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import safetensors.torch
import torch

import onecycle as oc
from noisy_photos import draw
from onecycle.data.batch import Reading
from onecycle.data.bunch import DataBunch
from onecycle.data.cache import Cache, cache_for
from onecycle.data.categories import Category
from onecycle.data.dataset import Dataset
from onecycle.data.rows import CONTENT, ITEM, LABEL, Rows
from onecycle.errors import DataError
from onecycle.vision.images import Images


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def dataset_of(root: Path, count: int = 4, size: int = 8) -> Dataset:
    """A folder of `count` red images."""
    for number in range(count):
        if not (root / f"{number}.png").exists():
            draw(root / f"{number}.png", (200, 0, 0), seed=number)
    table = pa.table({ITEM: [f"{number}.png" for number in range(count)], LABEL: ["a", "b"] * (count // 2)})
    return Dataset(Rows(table, root), Images((size, size)), Category(("a", "b")), training=False)


def bunch_of(photos: Path, cache: Any, augment: Any = None) -> DataBunch:
    split = oc.ImageList.from_folder(photos).split_random(0.2, seed=1, stratify="folder")
    return split.label_from_folder().transform(12, augment=augment).databunch(7, cache=cache, workers=0)


@pytest.mark.parametrize("mode", ["memory", "disk", "auto"])
def test_a_cache_gives_the_same_batches_as_none(mode: str, photos: Path, home: Path) -> None:
    plain, cached = bunch_of(photos, None), bunch_of(photos, mode)
    assert plain.train.cache is None
    assert cached.train.cache is not None
    for split in ("train", "valid"):
        for epoch in range(2):
            for one, other in zip(plain.loader(split).epoch(epoch), cached.loader(split).epoch(epoch), strict=True):
                assert torch.equal(one.inputs, other.inputs)
                assert torch.equal(one.targets, other.targets)
                assert torch.equal(one.geometries, other.geometries)
                assert torch.equal(one.index, other.index)


def test_a_second_run_reads_the_file_and_no_image(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(tmp_path / "images")
    first = Cache((8, 8, 3), home).full(dataset)

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("an image was read again")

    monkeypatch.setattr(Images, "sample", refuse)
    second = Cache((8, 8, 3), home).full(dataset_of(tmp_path / "images"))
    assert torch.equal(first.inputs, second.inputs)
    assert second.targets.tolist() == [0, 1, 0, 1]
    assert torch.equal(first.geometries, second.geometries)
    # Images of 40x48 pixels, of which the middle is cut out: height, width, left, top, right, bottom.
    assert second.geometries.tolist() == [[40, 48, 4, 0, 44, 40]] * 4


class WithoutGeometry(Images):
    """Images that do not say where they lie in their original."""

    def read(self, item: Any, *, training: bool) -> Reading:
        return Reading(super().read(item, training=training).input)

    def encode(self, label: Any, target: Any, geometry: Any, *, training: bool) -> torch.Tensor:
        assert geometry is None
        return target.encode(label)


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
def test_inputs_without_geometry_stay_without_one(tmp_path: Path, home: Path, on_disk: bool) -> None:
    dataset = dataset_of(tmp_path / "images")
    without = Dataset(dataset.rows, WithoutGeometry((8, 8)), dataset.target, training=False)
    for _ in range(2):
        batch = Cache((8, 8, 3), home if on_disk else None).full(without).batch(torch.arange(4))
        assert (batch.geometries, batch.targets.tolist()) == (None, [0, 1, 0, 1])


def test_a_writer_that_ends_early_leaves_nothing(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(tensors: Any) -> None:
        raise KeyboardInterrupt

    dataset = dataset_of(tmp_path / "images")
    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Cache((8, 8, 3), home).full(dataset)
    assert list(home.iterdir()) == []
    assert Cache((8, 8, 3), home).full(dataset).targets.tolist() == [0, 1, 0, 1]


def test_labels_are_never_taken_from_the_file(tmp_path: Path, home: Path) -> None:
    dataset = dataset_of(tmp_path / "images")
    Cache((8, 8, 3), home).full(dataset)
    relabelled = Dataset(dataset.rows, dataset.modality, Category(("b", "a")), training=False)
    assert Cache((8, 8, 3), home).full(relabelled).targets.tolist() == [1, 0, 1, 0]


def test_a_label_that_has_become_wrong_is_a_bad_item_as_without_the_file(tmp_path: Path, home: Path) -> None:
    dataset = dataset_of(tmp_path / "images")
    Cache((8, 8, 3), home).full(dataset)
    relabelled = Dataset(dataset.rows, dataset.modality, Category(("a", "c")), training=False)
    for folder in (home, None):
        batch = Cache((8, 8, 3), folder).full(relabelled).batch(torch.arange(4))
        assert (batch.index.tolist(), batch.targets.tolist()) == ([0, 2], [0, 0])
        assert [item.index for item in batch.bad] == [1, 3]
        assert all("The label 'b' is not one of the classes" in str(item.error) for item in batch.bad)


def test_a_changed_image_is_noticed(tmp_path: Path, home: Path) -> None:
    dataset = dataset_of(tmp_path / "images")
    before = Cache((8, 8, 3), home).full(dataset).inputs.clone()
    path = tmp_path / "images" / "2.png"
    draw(path, (0, 0, 200))
    os.utime(path, ns=(1, 1))  # however coarse the clock of this file system is
    after = Cache((8, 8, 3), home).full(dataset_of(tmp_path / "images")).inputs
    assert [torch.equal(one, other) for one, other in zip(before, after, strict=True)] == [True, True, False, True]


def test_another_shape_is_another_file(photos: Path, home: Path) -> None:
    """Training reads a margin for turning; without turning there is none, and the pixels differ."""
    with_margin = bunch_of(photos, "disk", oc.augment.default())
    assert next(with_margin.train.epoch(0)).inputs.shape[1:] == (14, 14, 3)
    plain = next(bunch_of(photos, "disk", oc.augment.none()).train.epoch(0))
    assert torch.equal(plain.inputs, next(bunch_of(photos, None, oc.augment.none()).train.epoch(0)).inputs)


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: flip(file, 5),
        lambda file: flip(file, 4 * 8 * 8 * 3 - 1),
        lambda file: file.write_bytes(bytes(file.stat().st_size)),
        lambda file: file.write_bytes(bytes(4 * 8 * 8 * 3) + file.read_bytes()[4 * 8 * 8 * 3 :]),
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 3]),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes() + b"x"),
        lambda file: flip(file, 4 * 8 * 8 * 3 + 3),
        lambda file: flip(file, -60),
        lambda file: flip(file, -1),
        lambda file: file.write_bytes(b""),
    ],
    ids=[
        "a flipped byte", "the last pixel", "zeros", "black images", "cut to a third", "a byte too few",
        "a byte too many", "geometries", "checksums", "the end", "empty",
    ],
)  # fmt: skip
def test_a_damaged_file_is_told_and_read_anew(damage: Any, tmp_path: Path, home: Path) -> None:
    """Seen: all of these were silently trained on."""
    dataset = dataset_of(tmp_path / "images")
    first = Cache((8, 8, 3), home).full(dataset)
    good, geometries = first.inputs.clone(), first.geometries
    (file,) = home.iterdir()
    damage(file)
    with pytest.warns(UserWarning, match=r"The cache .*\.cache is damaged \(.*\): all items are read again") as told:
        batch = Cache((8, 8, 3), home).full(dataset).batch(torch.tensor([3, 0, 1, 2]))
    assert len(told) == 1
    assert torch.equal(batch.inputs, good[[3, 0, 1, 2]])
    assert torch.equal(batch.geometries, geometries)
    assert batch.targets.tolist() == [1, 0, 1, 0]
    again = Cache((8, 8, 3), home).full(dataset).batch(torch.arange(4))  # what was damaged is replaced: no warning
    assert torch.equal(again.inputs, good)


def test_damage_that_is_met_within_inference_mode_is_replaced_by_what_can_train(tmp_path: Path, home: Path) -> None:
    dataset = dataset_of(tmp_path / "images")
    Cache((8, 8, 3), home).full(dataset)
    flip(next(home.iterdir()), 5)
    cache = Cache((8, 8, 3), home).full(dataset)
    with torch.inference_mode(), pytest.warns(UserWarning, match="0.png has changed"):
        cache.batch(torch.arange(4))
    assert not cache.inputs.is_inference()


def test_a_removed_file_is_written_again(tmp_path: Path, home: Path) -> None:
    dataset = dataset_of(tmp_path / "images")
    good = Cache((8, 8, 3), home).full(dataset).inputs.clone()
    next(home.iterdir()).unlink()
    assert torch.equal(Cache((8, 8, 3), home).full(dataset).inputs, good)
    assert len(list(home.iterdir())) == 1


def test_a_replaced_image_of_the_same_time_and_size_is_noticed(tmp_path: Path, home: Path) -> None:
    """Seen: only the time was compared. The inode may be the same, too: a freed one is given to the next file."""
    dataset = dataset_of(tmp_path / "images")
    path = tmp_path / "images" / "2.png"
    state = path.stat()
    before = Cache((8, 8, 3), home).full(dataset).inputs.clone()
    replacement = draw(tmp_path / "other.png", (0, 0, 200)).read_bytes()
    for content in (replacement, replacement[: state.st_size].ljust(state.st_size, b"\0")):
        path.write_bytes(content)  # the same inode; another size, then the same
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert (path.stat().st_mtime_ns, path.stat().st_ino) == (state.st_mtime_ns, state.st_ino)
        cache = Cache((8, 8, 3), home).full(dataset_of(tmp_path / "images"))
        assert cache.bad or not torch.equal(cache.inputs[2], before[2])


def test_another_data_set_of_the_same_relative_names_is_another_file(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: the second run trained on the first one's images."""
    tables = []
    for folder, colour in (("one", (200, 0, 0)), ("two", (0, 0, 200))):
        monkeypatch.chdir(tmp_path)
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        for number in range(2):
            draw(Path("images") / f"{number}.png", colour)
            os.utime(Path("images") / f"{number}.png", ns=(1, 1))
        rows = Rows(pa.table({ITEM: ["0.png", "1.png"], LABEL: ["a", "b"]}), Path("images"))
        dataset = Dataset(rows, Images((8, 8)), Category(("a", "b")), training=False)
        tables.append(Cache((8, 8, 3), home).full(dataset).inputs.float().mean((0, 1, 2)))
    assert tables[0][0] > 150 > tables[0][2]
    assert tables[1][2] > 150 > tables[1][0]


class Repeated(Images):
    """Images made of a text."""

    def read(self, item: Any, *, training: bool) -> Reading:
        return Reading(torch.full((8, 8, 3), len(item), dtype=torch.uint8))


def test_contents_of_a_table_are_part_of_the_name(tmp_path: Path, home: Path) -> None:
    for texts in (["a", "bb"], ["ccc", "bb"]):
        rows = Rows(pa.table({ITEM: ["row 0", "row 1"], LABEL: ["a", "b"], CONTENT: texts}))
        dataset = Dataset(rows, Repeated((8, 8)), Category(("a", "b")), training=False)
        cache = Cache((8, 8, 3), home).full(dataset)
        assert cache.inputs[:, 0, 0, 0].tolist() == [len(text) for text in texts]


def test_two_ways_of_reading_are_two_files(tmp_path: Path, home: Path) -> None:
    class Inverted(Images):
        def read(self, item: Any, *, training: bool) -> Reading:
            pixels, geometry = super().read(item, training=training)
            return Reading(255 - torch.as_tensor(pixels), geometry)

    dataset = dataset_of(tmp_path / "images")
    plain = Cache((8, 8, 3), home).full(dataset).inputs
    inverted = Dataset(dataset.rows, Inverted((8, 8)), dataset.target, training=False)
    assert torch.equal(Cache((8, 8, 3), home).full(inverted).inputs, 255 - plain)


def test_many_processes_fill_one_cache_once(tmp_path: Path, home: Path) -> None:
    dataset = dataset_of(tmp_path / "images", 20)
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    results = context.Queue()
    processes = [context.Process(target=fill, args=(dataset, home, results), daemon=True) for _ in range(4)]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    expected = Cache((8, 8, 3)).full(dataset).inputs
    assert all(torch.equal(torch.tensor(inputs, dtype=torch.uint8), expected) for inputs, _ in found)
    assert sum(read for _, read in found) == 20, "one reads, the others wait for it"
    assert [path.suffix for path in home.iterdir()] == [".cache"]


def fill(dataset: Dataset, home: Path, results: Any) -> None:
    read, original = [], Dataset.fetch
    Dataset.fetch = lambda self, index: (read.append(index), time.sleep(0.005), original(self, index))[2]
    results.put((Cache((8, 8, 3), home).full(dataset).inputs.tolist(), len(read)))


def test_what_a_killed_writer_left_is_removed(tmp_path: Path, home: Path) -> None:
    """A part is locked while its writer lives."""
    home.mkdir()
    (home / "dead.part").write_bytes(b"half of it")
    (home / "alive.part").touch()
    with (home / "alive.part").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        Cache((8, 8, 3), home).full(dataset_of(tmp_path / "images"))
        assert sorted(path.suffix for path in home.iterdir()) == [".cache", ".part"]
        assert (home / "alive.part").exists()


def test_bad_items_are_tried_again_by_the_next_run(tmp_path: Path, home: Path) -> None:
    dataset = dataset_of(tmp_path / "images")
    good = (tmp_path / "images" / "1.png").read_bytes()
    (tmp_path / "images" / "1.png").write_bytes(b"")
    cache = Cache((8, 8, 3), home).full(dataset)
    batch = cache.batch(torch.arange(4))
    assert (batch.index.tolist(), [item.index for item in batch.bad]) == ([0, 2, 3], [1])
    assert batch.targets.tolist() == [0, 0, 1]
    assert list(home.iterdir()) == []

    (tmp_path / "images" / "1.png").write_bytes(good)
    assert Cache((8, 8, 3), home).full(dataset).batch(torch.arange(4)).bad == []


def test_a_cache_is_filled_once(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "images")
    cache = Cache((8, 8, 3)).full(dataset)
    inputs = cache.inputs
    assert cache.full(dataset).inputs is inputs


def test_no_room_to_write_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"Cannot keep 0 MB in .*/file/cache: .*\nExpected a folder with room.*\nFix: .*ONECYCLE_CACHE"
    with pytest.raises(DataError, match=message):
        Cache((8, 8, 3), tmp_path / "file" / "cache").full(dataset_of(tmp_path / "images"))


def test_a_full_disk_is_an_error_before_anything_is_read(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(handle: int, start: int, count: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    monkeypatch.setattr(Images, "read", lambda *args, **options: pytest.fail("an image was read"))
    with pytest.raises(DataError, match=r"Cannot keep 0 MB in .*No space left on device"):
        Cache((8, 8, 3), home).full(dataset_of(tmp_path / "images"))
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("way", ["allocated", "not supported", "no such call"])
def test_the_space_is_taken_before_anything_is_read(
    way: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills later would end the process at a write to the mapped file."""

    def refuse(handle: int, start: int, count: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if way == "not supported":
        monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    elif way == "no such call":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    taken, original = [], Images.read

    def read(self: Images, item: Any, *, training: bool) -> Reading:
        taken.extend(path.stat().st_blocks * 512 for path in home.iterdir())
        return original(self, item, training=training)

    monkeypatch.setattr(Images, "read", read)
    Cache((200, 200, 3), home).full(dataset_of(tmp_path / "images", size=200))
    assert len(taken) == 4
    assert min(taken) >= 4 * 200 * 200 * 3


@pytest.mark.parametrize("mode", ["memory", "disk"])
def test_inputs_of_different_shapes_cannot_be_cached(mode: Any) -> None:
    message = rf"cache={mode!r}, but the inputs differ in shape.\nExpected inputs of one shape.\nFix: pass cache=None."
    with pytest.raises(DataError, match=re.escape(message).replace(r"\\n", "\n")):
        cache_for(mode, None, 10)


def test_auto_caches_only_what_takes_little_memory() -> None:
    assert cache_for("auto", None, 10) is None
    assert cache_for("auto", (8, 8, 3), 10) is not None
    assert cache_for("auto", (1000, 1000, 3), 10_000_000) is None
    assert cache_for(None, (8, 8, 3), 10) is None


def test_the_disk_cache_has_a_usual_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONECYCLE_CACHE", raising=False)
    assert cache_for("disk", (8, 8, 3), 10).folder == Path.home() / ".cache" / "onecycle"


def test_a_cache_filled_in_inference_mode_trains_afterwards(photos: Path) -> None:
    bunch = bunch_of(photos, "memory")
    with torch.inference_mode():
        batch = next(bunch.train.epoch(0))
    assert bunch.train.cache is not None
    assert not bunch.train.cache.inputs.is_inference()
    assert not bunch.train.cache.targets.is_inference()
    layer = torch.nn.Linear(14 * 14 * 3, 3)
    batch = next(bunch.train.epoch(0))
    torch.nn.functional.cross_entropy(layer(batch.inputs.flatten(1).float()), batch.targets).backward()
    assert layer.weight.grad is not None


def test_only_inputs_in_8_bits_are_kept(tmp_path: Path) -> None:
    class Floats(Images):
        def read(self, item: Any, *, training: bool) -> Reading:
            return Reading(torch.rand(8, 8, 3))

    dataset = dataset_of(tmp_path / "images")
    floats = Dataset(dataset.rows, Floats((8, 8)), dataset.target, training=False)
    message = (
        r"Floats reads torch\.float32, which a cache does not hold\.\n"
        r"Expected uint8 inputs where item_shape\(\) returns a shape\.\nFix: pass cache=None, return None"
    )
    with pytest.raises(DataError, match=message):
        Cache((8, 8, 3)).full(floats)


@pytest.mark.parametrize("on_disk", [False, True])
def test_some_rows_are_read_first_and_the_rest_when_asked_for(tmp_path: Path, home: Path, on_disk: bool) -> None:
    dataset = dataset_of(tmp_path / "images")
    whole = Cache((8, 8, 3)).full(dataset).batch(torch.arange(4))
    read: list[int] = []
    fetch = dataset.fetch
    dataset.fetch = lambda index: (read.append(index), fetch(index))[1]  # type: ignore[method-assign,assignment]
    cache = Cache((8, 8, 3), home if on_disk else None)
    some = cache.full(dataset, torch.tensor([1, 3])).batch(torch.tensor([3, 1]))
    assert torch.equal(some.inputs, whole.inputs[[3, 1]])
    assert torch.equal(some.targets, whole.targets[[3, 1]])
    assert sorted(read) == ([0, 1, 2, 3] if on_disk else [1, 3]), "a file is written as a whole"
    cache.full(dataset, torch.tensor([3, 2]))
    every = cache.full(dataset).batch(torch.arange(4))
    assert torch.equal(every.inputs, whole.inputs)
    assert torch.equal(every.targets, whole.targets)
    assert sorted(read) == [0, 1, 2, 3], "nothing is read twice"
