"""Reading mask files: index masks, colour-coded masks, and files that cannot be masks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onecycle.errors import DataError
from onecycle.vision.mask_files import read_mask_values
from onecycle.vision.mask_labels import mask_target
from patches import blocks
from vision.mask_examples import COLOURS, VALUES, assert_data_error, saved, small


def in_palette(values: np.ndarray) -> Image.Image:
    image = Image.fromarray(values).convert("P")
    image.putpalette([200, 10, 20, 5, 6, 7, 200, 10, 20, 255, 255, 255])  # two of the colours are equal
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(VALUES),
        in_palette(VALUES),
        Image.fromarray(VALUES.astype(np.uint16)),
        Image.fromarray(VALUES[..., None].repeat(3, 2)),
        Image.merge("LA", [Image.fromarray(VALUES), Image.new("L", (3, 2), 255)]),
    ],
    ids=["grey", "palette", "16 bits", "grey as RGB", "grey and alpha"],
)
def test_index_masks_are_read_as_their_values(image: Image.Image, tmp_path: Path) -> None:
    values = read_mask_values(saved(image, tmp_path / "mask.png"))
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, VALUES)


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tif"])
def test_lossless_formats_have_the_same_values(suffix: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mask_values(saved(VALUES, tmp_path / f"mask.{suffix}")), VALUES)


def test_one_bit_masks_contain_0_and_1(tmp_path: Path) -> None:
    path = saved(Image.fromarray(VALUES > 1), tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask_values(path), VALUES > 1)


def test_whole_numbers_in_a_float_tiff_are_read(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mask_values(saved(VALUES.astype(np.float32), tmp_path / "a.tif")), VALUES)


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_mask_values(saved(VALUES, tmp_path / "mask.png", exif=exif)).tolist() == np.rot90(VALUES, -1).tolist()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_become_values(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(np.array(COLOURS, np.uint8)[VALUES]).convert(mode, palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(read_mask_values(saved(image, tmp_path / "mask.png"), COLOURS), VALUES)


def test_black_and_white_can_be_two_classes(tmp_path: Path) -> None:
    target = mask_target(["ground", "building"], None, [(0, 0, 0), (255, 255, 255)])
    path = saved(small([0, 255, 255]), tmp_path / "mask.png")
    assert target.encode(str(path)).tolist() == [[0, 1, 1]]


def test_unknown_colours_are_counted_in_the_error(tmp_path: Path) -> None:
    pixels = np.array(COLOURS, np.uint8)[VALUES]
    pixels[0] = (9, 8, 7), (9, 8, 7), (1, 2, 3)
    path = saved(pixels, tmp_path / "mask.png")
    assert_data_error(
        lambda: read_mask_values(path, COLOURS),
        f"The mask {path} contains colours that are not in colours=: (9, 8, 7) (2 pixels), (1, 2, 3) (1 pixels).",
        "only the classes' colours.",
        "add them to colours= and classes=; blurred edges mean that the mask was resized or compressed.",
    )


def test_a_coloured_mask_needs_colours(tmp_path: Path) -> None:
    path = saved(np.array(COLOURS, np.uint8)[VALUES], tmp_path / "mask.png")
    assert_data_error(
        lambda: read_mask_values(path),
        f"The mask {path} is in colour, and colours= was not passed.",
        "an index mask, whose grey values are class numbers, or the colour of each class.",
        "pass colours=, a (red, green, blue) for each class.",
    )


@pytest.mark.parametrize("extended", [False, True])
def test_a_webp_is_told_by_what_is_in_it(extended: bool, tmp_path: Path) -> None:
    exif: dict[str, Any] = {"exif": Image.Exif()} if extended else {}
    if extended:
        exif["exif"][0x010E] = "a mask"  # which takes a chunk of its own before the image
    path = saved(VALUES, tmp_path / "mask.webp", lossless=True, **exif)
    np.testing.assert_array_equal(read_mask_values(path), VALUES)
    path = saved(VALUES, tmp_path / "lossy.webp", quality=100, **exif)
    with pytest.raises(DataError, match=r"lossy\.webp is a WEBP: lossy compression"):
        read_mask_values(path)


def test_a_mask_of_several_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(VALUES), Image.fromarray(VALUES)]
    pages[0].save(tmp_path / "mask.tif", save_all=True, append_images=pages[1:])
    assert_data_error(
        lambda: read_mask_values(tmp_path / "mask.tif"),
        f"The mask {tmp_path / 'mask.tif'} has 2 pages.",
        "one page, so that nothing is guessed.",
        "save the page with the classes as PNG.",
    )


@pytest.mark.parametrize(("suffix", "kind"), [("jpg", "JPEG"), ("webp", "WEBP"), ("avif", "AVIF")])
@pytest.mark.parametrize("colours", [None, COLOURS])
def test_lossy_compression_is_refused(suffix: str, kind: str, colours: Any, tmp_path: Path) -> None:
    path = saved(np.array(COLOURS, np.uint8)[VALUES], tmp_path / f"mask.{suffix}")
    assert_data_error(
        lambda: read_mask_values(path, colours),
        f"The mask {path} is a {kind}: lossy compression changes values, and with them classes.",
        "a mask as PNG, or in another lossless format.",
        "export the masks again as PNG.",
    )


@pytest.mark.parametrize(
    ("values", "span"),
    [
        (small([0, 256], dtype=np.uint16), "0 to 256"),
        (small([0, -1], dtype=np.int32), "-1 to 0"),
        (small([0, 1.5], dtype=np.float32), "0 to 1.5"),
    ],
    ids=["above 255", "below 0", "between"],
)
def test_values_outside_a_byte_are_refused(values: np.ndarray, span: str, tmp_path: Path) -> None:
    path = saved(values, tmp_path / "mask.tif")
    assert_data_error(
        lambda: read_mask_values(path),
        f"The mask {path} contains values from {span}.",
        "whole numbers from 0 to 255.",
        "write the class numbers as 8-bit PNG.",
    )


def test_damaged_and_missing_masks_have_the_errors_of_images(tmp_path: Path) -> None:
    content = saved(blocks(0, (64, 64), side=1), tmp_path / "mask.png").read_bytes()
    (tmp_path / "mask.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"mask.png is damaged: .*\nExpected a complete image file.\nFix: replace it"):
        read_mask_values(tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"^No such file: .*none.png.\nExpected an image file.\nFix: check the path.$"):
        read_mask_values(tmp_path / "none.png")
