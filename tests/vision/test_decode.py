"""Decoding files to uint8 RGB, compared with PIL, which decodes at full size."""

import io
import os
import re
import struct
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, features

from onecycle.data.contents import Contents
from onecycle.errors import DataError
from onecycle.vision import decode as decode_module
from onecycle.vision.decode import (
    ImageGeometry,
    compute_geometry,
    decode,
    decode_with_geometry,
    is_image,
    original_size,
    padding_box,
)

FORMATS = ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM"]


def smooth(height: int, width: int) -> Image.Image:
    """A picture without sharp edges, different in every orientation: red grows to the right, green downwards."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x / width * 255, y / height * 255, (x + y) % 7 * 9], 2).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def whole(path: Path) -> np.ndarray:
    """A file decoded at its own size."""
    with Image.open(path) as image:
        width, height = image.size
    return decode(path, (height, width))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_recognised_by_its_content_and_read(kind: str, tmp_path: Path) -> None:
    data = encoded(smooth(9, 14), kind)
    assert is_image(data[:16])
    (tmp_path / "no_suffix").write_bytes(data)
    with Image.open(tmp_path / "no_suffix") as image:
        np.testing.assert_array_equal(whole(tmp_path / "no_suffix"), image.convert("RGB"))


def test_a_big_endian_tiff_is_an_image() -> None:
    assert is_image(b"MM\0*" + bytes(12))


@pytest.fixture
def heic(tmp_path: Path) -> Path:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = pillow_heif.from_pillow(smooth(32, 48))
    file.save(tmp_path / "photo.heic", quality=95)
    return tmp_path / "photo.heic"


def test_heic_is_read_with_its_extra(heic: Path) -> None:
    assert is_image(heic.read_bytes()[:16])
    assert original_size(heic) == (32, 48)
    assert np.abs(decode(heic, (32, 48)).astype(int) - np.asarray(smooth(32, 48))).mean() < 12
    assert decode(Contents("a.heic", heic.read_bytes()), (32, 48)).shape == (32, 48, 3)


def test_heic_without_its_extra_says_what_to_install(heic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for opener in ("HEIF",):
        monkeypatch.delitem(Image.OPEN, opener, raising=False)
        monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != opener])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    message = (
        r"photo\.heic is a HEIC image, which Pillow reads with pillow-heif alone\.\nExpected the extra `heif`\.\n"
        r"Fix: pip install 'onecycle\[heif\]', or convert it to JPEG\.$"
    )
    with pytest.raises(DataError, match=message):
        decode(heic, (8, 8))


def test_avif_without_its_codec_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.avif").write_bytes(encoded(smooth(9, 14), "AVIF"))
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "AVIF"])
    monkeypatch.setattr(features, "check", lambda feature: feature != "avif")
    with pytest.raises(DataError, match=r"x\.avif is an AVIF image, which Pillow [\d.]+ does not read here\.[^$]*pip"):
        decode(tmp_path / "x.avif", (4, 4))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"image,tags\n",
        b"P5 pens\n",
        b"\0\0\0\x20ftypisom",
        b"%PDF-1.7",
        b"RIFF\0\0\0\0WAVE",
        b"PK\3\4",
        b"\xff\xd8",
    ],
)
def test_other_content_is_not_an_image(head: bytes) -> None:
    assert not is_image(head)


def test_a_png_named_jpg_is_read_as_png(tmp_path: Path) -> None:
    smooth(8, 8).save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "x.jpg")
    np.testing.assert_array_equal(whole(tmp_path / "x.jpg"), smooth(8, 8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(40, 40), (40, 64), (300, 500)])
def test_the_exif_orientation_is_applied(orientation: int, size: tuple[int, int], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth(320, 512).save(tmp_path / "x.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "x.jpg") as image:
        turned = ImageOps.exif_transpose(image)
    expected = np.asarray(turned.resize(size[::-1], Image.Resampling.BILINEAR), int)
    difference = np.abs(decode(tmp_path / "x.jpg", size, "squish") - expected)
    assert difference.mean() < 3, "scaled decoding and two kinds of filter; a wrong orientation makes more than 50"


def test_the_exif_orientation_of_a_pil_image_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(encoded(smooth(8, 12), "PNG", exif=exif))) as image:
        np.testing.assert_array_equal(decode(image, (12, 8)), smooth(8, 12).transpose(Image.Transpose.ROTATE_270))


@pytest.mark.parametrize("size", [(50, 80), (99, 130), (17, 31), (320, 512)])
def test_scaled_decoding_is_close_to_decoding_at_full_size(size: tuple[int, int], tmp_path: Path) -> None:
    smooth(320, 512).save(tmp_path / "x.jpg", quality=95)
    with Image.open(tmp_path / "x.jpg") as image:
        full = np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR), int)
    difference = np.abs(decode(tmp_path / "x.jpg", size, "squish") - full)
    assert difference.mean() < 3


def test_a_large_jpeg_is_decoded_no_larger_than_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JPEG decodes at 1/2, 1/4 and 1/8 for a fraction of the time; the draft must still cover the requested size."""
    smooth(800, 1600).save(tmp_path / "x.jpg")
    seen = []
    original = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, *args, **options: seen.append(self.size) or original(self, *args, **options)
    )
    for size, resize in (((90, 90), "crop"), ((90, 90), "pad"), ((90, 90), "squish"), ((450, 450), "crop")):
        decode(tmp_path / "x.jpg", size, resize)
    assert seen == [(200, 100), (200, 100), (200, 100), (1600, 800)]


def test_a_rotated_jpeg_is_decoded_no_larger_than_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EXIF may swap height and width; then the requested size must be swapped before the comparison."""
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth(800, 1600).save(tmp_path / "x.jpg", exif=exif)
    seen = []
    original = ImageOps.exif_transpose
    monkeypatch.setattr(
        ImageOps, "exif_transpose", lambda image, **options: seen.append(image.size) or original(image, **options)
    )
    assert decode(tmp_path / "x.jpg", (400, 200)).shape == (400, 200, 3)
    assert seen == [(400, 200)]


def test_cmyk_is_converted_as_pil_does(tmp_path: Path) -> None:
    smooth(8, 8).convert("CMYK").save(tmp_path / "x.jpg", quality=95)
    with Image.open(tmp_path / "x.jpg") as image:
        assert image.mode == "CMYK"
        np.testing.assert_array_equal(whole(tmp_path / "x.jpg"), image.convert("RGB"))
    assert np.abs(whole(tmp_path / "x.jpg") - np.asarray(smooth(8, 8), int)).mean() < 12


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_grey_bilevel_and_palette_become_rgb(mode: str, tmp_path: Path) -> None:
    smooth(8, 8).convert(mode).save(tmp_path / "x.png")
    np.testing.assert_array_equal(whole(tmp_path / "x.png"), smooth(8, 8).convert(mode).convert("RGB"))


def test_sixteen_bit_grey_is_scaled_down(tmp_path: Path) -> None:
    """65,535 / 255 = 257."""
    values = np.array([[0, 257, 257 * 128], [257 * 200, 65535, 100]], np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    np.testing.assert_array_equal(whole(tmp_path / "x.png")[..., 0], [[0, 1, 128], [200, 255, 0]])


def test_a_dark_sixteen_bit_image_stays_dark(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 200, np.uint16)).save(tmp_path / "x.png")
    assert whole(tmp_path / "x.png").max() == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0.0, 257.0, 65535.0]], np.float32), [0, 1, 255]),
        (np.array([[np.nan, 0.2, np.inf]], np.float32), [0, 51, 0]),
        (np.array([[-5, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
    ],
    ids=["fractions", "floats", "large floats", "not a number", "integers", "large integers"],
)
def test_floats_and_integers_are_scaled_by_their_range(values: np.ndarray, expected: list, tmp_path: Path) -> None:
    Image.fromarray(values).save(tmp_path / "x.tif")
    assert whole(tmp_path / "x.tif")[0, :, 0].tolist() == expected


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_become_white(mode: str, tmp_path: Path) -> None:
    """colour * alpha + 255 * (1 - alpha)."""
    image = Image.new("RGBA", (3, 1))
    image.putdata([(100, 100, 100, 255), (100, 100, 100, 0), (100, 100, 100, 51)])
    image.convert(mode).save(tmp_path / "x.png")
    assert whole(tmp_path / "x.png")[0, :, 1].tolist() == [100, 255, round(100 * 0.2 + 255 * 0.8)]


def test_a_transparent_palette_colour_becomes_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.save(tmp_path / "x.png", transparency=1)
    assert whole(tmp_path / "x.png").tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert whole(tmp_path / "x.gif")[0, 0].tolist() == [255, 0, 0]


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["crop", "squish", "pad"]),
)
def test_any_size_is_resized_to_any_other(have: tuple[int, int], want: tuple[int, int], resize: Any) -> None:
    pixels = decode(np.full((*have, 3), 200, np.uint8), want, resize)
    assert (pixels.shape, pixels.dtype) == ((*want, 3), np.uint8)
    if resize != "pad":
        assert (pixels == 200).all()


def test_the_same_size_does_not_change_pixels() -> None:
    for resize in ("crop", "squish", "pad"):
        np.testing.assert_array_equal(decode(smooth(9, 13), (9, 13), resize), smooth(9, 13))


def test_crop_cuts_out_the_middle() -> None:
    stripes = np.repeat(np.arange(8, dtype=np.uint8) * 30, 4)[None].repeat(16, 0)  # 16 x 32: eight stripes of four
    assert decode(stripes, (16, 16))[0, :, 0].tolist() == stripes[0, 8:24].tolist()
    assert decode(stripes.T, (16, 16))[:, 0, 0].tolist() == stripes[0, 8:24].tolist()


def test_squish_keeps_everything() -> None:
    stripes = np.repeat(np.arange(8, dtype=np.uint8) * 30, 4)[None].repeat(16, 0)
    squished = decode(stripes, (16, 8), "squish")[0, :, 0]
    assert np.abs(squished - np.arange(8.0) * 30).max() <= 15


def test_pad_adds_equal_black_borders() -> None:
    pixels = decode(np.full((10, 20, 3), 200, np.uint8), (20, 20), "pad")
    assert (pixels[:5] == 0).all()
    assert (pixels[5:15] == 200).all()
    assert (pixels[15:] == 0).all()


def test_extreme_aspect_ratios_work() -> None:
    assert decode(np.full((1, 1000), 9, np.uint8), (8, 8), "pad").max() == 9
    assert decode(np.full((1000, 1), 9, np.uint8), (8, 8), "crop").min() == 9


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 3), (4, 4, 4)])
def test_arrays_of_pixels_are_read(shape: tuple[int, ...]) -> None:
    pixels = np.full(shape, 255, np.uint8)
    assert (decode(pixels, (4, 4)) == 255).all()


def test_the_source_is_not_changed() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    before = pixels.copy()
    decode(pixels, (8, 8))[:] = 0
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 3)), np.zeros((3, 8, 8), np.uint8), np.zeros(4, np.uint8), np.zeros((4, 4, 2), np.uint8)]
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    shape = str(array.shape).replace("(", r"\(").replace(")", r"\)")
    message = rf"array of {array.dtype}, shape {shape}.\nExpected uint8 pixels .*\nFix: (convert it, for example|pass) "
    with pytest.raises(DataError, match=message):
        decode(array, (4, 4))


def test_other_sources_are_refused() -> None:
    with pytest.raises(
        DataError,
        match=r"Cannot read.*int.\nExpected a path, the bytes of a file, .*PIL image.*\nFix: pass the path",
    ):
        decode(5, (4, 4))


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such file: .*x.jpg.\nExpected an image file.\nFix: check the path"):
        decode(tmp_path / "x.jpg", (4, 4))


def test_a_directory_named_jpg_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").mkdir()
    with pytest.raises(DataError, match=r"x.jpg is a directory.\nExpected an image file.\nFix: remove it from"):
        decode(tmp_path / "x.jpg", (4, 4))


def test_a_file_without_permission_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "x.jpg").touch()
    monkeypatch.setattr(decode_module.Image, "open", refuse)  # chmod has no effect for root
    with pytest.raises(
        DataError,
        match=r"x.jpg cannot be read: permission denied.\nExpected permission to read it.\nFix: chmod \+r .*x.jpg",
    ):
        decode(tmp_path / "x.jpg", (4, 4))


def test_an_empty_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").touch()
    with pytest.raises(DataError, match=r"x.jpg is empty \(0 bytes\).\nExpected a JPEG, PNG.*\nFix: remove or replace"):
        decode(tmp_path / "x.jpg", (4, 4))


def test_a_text_file_named_jpg_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_text("hello")
    with pytest.raises(DataError, match=r"x.jpg is not an image of a known format.\nExpected a JPEG"):
        decode(tmp_path / "x.jpg", (4, 4))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_file_is_reported(kind: str, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    data = encoded(noise, kind)
    (tmp_path / "x.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"x.jpg is damaged: .*\nExpected a complete image file.\nFix: .*on_bad_item"):
        decode(tmp_path / "x.jpg", (8, 8))


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """The header of a PNG of 30,000 x 30,000 pixels, without any pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
    message = (
        r"x.png is too large: .*900000000 pixels.*\nExpected at most 178,956,970 pixels.*\nFix: .*MAX_IMAGE_PIXELS"
    )
    with pytest.raises(DataError, match=message):
        decode(tmp_path / "x.png", (8, 8))


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "x.jpg"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(FORMATS),
    kept=st.floats(0, 1),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=1))),
)
def test_damaged_files_give_pixels_or_a_data_error(
    kind: str, kept: float, damage: list[tuple[float, bytes]], scratch: Path
) -> None:
    """No damage may raise any other error in a worker."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    content = bytearray(encoded(smooth(12, 17), kind, **({} if kind in ("GIF", "BMP") else {"exif": exif})))
    for place, value in damage:
        content[int(place**2 * len(content))] = value[0]  # most of the damage near the header
    scratch.write_bytes(content[: int(kept**0.2 * len(content))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL's own warnings
        try:
            assert decode(scratch, (8, 8)).shape == (8, 8, 3)
        except DataError:
            return


@pytest.mark.parametrize(
    "error",
    [
        OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, struct.error, RuntimeError, OverflowError,
        zlib.error, AttributeError, EOFError, RecursionError, UserWarning,
    ],
)  # fmt: skip
def test_all_errors_of_a_codec_become_data_errors(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: AVIF's RuntimeError came out as it was."""

    def fail(path: str) -> None:
        raise error("broken")

    (tmp_path / "x.jpg").touch()
    monkeypatch.setattr(decode_module.Image, "open", fail)
    with pytest.raises(
        DataError, match=r"x.jpg is damaged: .*broken.*\nExpected a complete image file.\nFix: replace it"
    ):
        decode(tmp_path / "x.jpg", (8, 8))


def test_ctrl_c_while_decoding_is_no_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: str) -> None:
        raise KeyboardInterrupt

    (tmp_path / "x.jpg").touch()
    monkeypatch.setattr(decode_module.Image, "open", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode(tmp_path / "x.jpg", (8, 8))


def test_memory_that_does_not_suffice_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> None:
        raise MemoryError

    (tmp_path / "x.jpg").touch()
    monkeypatch.setattr(decode_module.Image, "open", fail)
    message = r"x.jpg takes more memory to decode than there is.\nExpected an image that fits.*\nFix: .*fewer workers"
    with pytest.raises(DataError, match=message):
        decode(tmp_path / "x.jpg", (8, 8))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jpg")
    with pytest.raises(
        DataError, match=r"x.jpg is not a regular file.\nExpected an image file.\nFix: remove it from the list"
    ):
        decode(tmp_path / "x.jpg", (4, 4))


def test_postscript_named_jpg_starts_no_foreign_program(tmp_path: Path) -> None:
    """Pillow would hand it to Ghostscript."""
    (tmp_path / "x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match=r"x.jpg is not an image of a known format.\nExpected a JPEG"):
        decode(tmp_path / "x.jpg", (4, 4))


def test_an_exif_orientation_that_is_not_a_number_is_ignored(tmp_path: Path) -> None:
    """EXIF in which the orientation is a text."""
    exif = Image.Exif()
    exif[0x0112], exif[0x0100] = 6, 8
    data = encoded(smooth(8, 8), "JPEG", exif=exif)
    damaged = data.replace(struct.pack("<HHI", 0x0112, 3, 1), struct.pack("<HHI", 0x0112, 2, 1))
    damaged = damaged.replace(struct.pack(">HHI", 0x0112, 3, 1), struct.pack(">HHI", 0x0112, 2, 1))
    assert damaged != data
    (tmp_path / "x.jpg").write_bytes(damaged)
    (tmp_path / "plain.jpg").write_bytes(encoded(smooth(8, 8), "JPEG"))
    np.testing.assert_array_equal(decode(tmp_path / "x.jpg", (8, 8)), decode(tmp_path / "plain.jpg", (8, 8)))


# --- geometry ---


def test_squish_shows_the_whole_original() -> None:
    assert compute_geometry((4, 6), (2, 3), "squish") == ImageGeometry(4, 6, 0, 0, 6, 4)


def test_crop_shows_the_middle_of_the_original() -> None:
    """100 x 300 at 50 x 50: the scale is 1/2, so that 100 of 300 columns are shown."""
    assert compute_geometry((100, 300), (50, 50), "crop").box == (100, 0, 200, 100)
    assert compute_geometry((300, 100), (50, 50), "crop").box == (0, 100, 100, 200)


def test_pad_shows_more_than_the_original() -> None:
    """100 x 200 at 50 x 50: 25 rows of 2 pixels each are the image, 12 above it and 13 below."""
    assert padding_box((200, 100), (50, 50)) == (0, 12, 50, 25)
    assert compute_geometry((100, 200), (50, 50), "pad") == ImageGeometry(100, 200, 0, -48, 200, 152)


def test_the_geometry_of_a_rotated_file_is_that_of_the_oriented_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth(8, 12).save(tmp_path / "x.jpg", exif=exif)
    assert decode_with_geometry(tmp_path / "x.jpg", (12, 8))[1] == ImageGeometry(12, 8, 0, 0, 8, 12)
    assert original_size(tmp_path / "x.jpg") == (12, 8)


@pytest.mark.parametrize("source", [np.zeros((5, 7, 3), np.uint8), Image.new("RGB", (7, 5))])
def test_the_original_size_is_height_and_width(source: Any) -> None:
    assert original_size(source) == (5, 7)


def test_bytes_and_opened_files_are_decoded_as_the_file(tmp_path: Path) -> None:
    """Unlike a PIL image of it, which has all its pixels before it is known how few are needed."""
    path = tmp_path / "x.jpg"
    path.write_bytes(encoded(smooth(200, 300), "JPEG"))
    expected = decode(path, (20, 30))
    for source in (path.read_bytes(), bytearray(path.read_bytes()), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(decode(source, (20, 30)), expected)
    with open(path, "rb") as opened:
        assert original_size(opened) == (200, 300)
        np.testing.assert_array_equal(decode(opened, (20, 30)), expected)  # from its beginning again
    with pytest.raises(DataError, match=r"the image is empty \(0 bytes\)\."):
        decode(b"", (20, 30))


@pytest.mark.parametrize(("array", "fix"), [
    (np.ones((4, 5, 3)), "(array * 255).astype('uint8')"),
    (np.ones((4, 5), bool), "(array * 255).astype('uint8')"),
    (np.full((4, 5, 3), 250.0, np.float32), "array.clip(0, 255).astype('uint8')"),
    (np.full((4, 5, 3), 300), "array.clip(0, 255).astype('uint8')"),
    (np.full((4, 5, 3), 65535, np.uint16), "(array // 257).astype('uint8')"),
    (np.full((3, 40, 50), 255, np.uint8), "array.transpose(1, 2, 0)"),
    (np.ones((3, 40, 50), np.float32), "(array.transpose(1, 2, 0) * 255).astype('uint8')"),
    (np.full((40, 50, 7), 255, np.uint8), "array[..., :3]"),
])  # fmt: skip
def test_the_fix_for_an_array_that_is_no_image_makes_a_bright_one(array: np.ndarray, fix: str) -> None:
    with pytest.raises(DataError, match=r"Expected uint8 pixels from 0 to 255[\s\S]*" + re.escape(fix)):
        decode(array, (4, 4))
    assert decode(eval(fix, {"array": array}), (4, 4)).min() >= 250


@pytest.mark.parametrize(("array", "fix"), [
    (np.zeros((0, 5, 3), np.uint8), "leave it out: it has no pixel"),
    (np.zeros((2, 8, 8, 3), np.uint8), r"all of them as predict_many\(array\)"),
    (np.zeros(8, np.uint8), "an array of one of these shapes"),
])  # fmt: skip
def test_arrays_that_no_conversion_makes_an_image(array: np.ndarray, fix: str) -> None:
    with pytest.raises(DataError, match=rf"Cannot read an image from an array of uint8[\s\S]*{fix}"):
        decode(array, (4, 4))
