"""A model in the words of the page, and what inputs are called where they are kept."""

from __future__ import annotations

import pytest

from onecycle.ship.serve.description import kept_suffix
from onecycle.ship.serve.served import Upload
from onecycle.vision.images import Images

from .conftest import picture


@pytest.mark.parametrize(("form", "suffix"), [
    ("JPEG", ".jpg"), ("PNG", ".png"), ("GIF", ".gif"), ("BMP", ".bmp"), ("TIFF", ".tif"), ("WEBP", ".webp"),
])  # fmt: skip
def test_an_image_is_kept_under_the_suffix_of_what_it_is(form: str, suffix: str) -> None:
    assert kept_suffix(Images(), Upload("a.exe", picture(form=form))) == suffix


def test_what_is_not_known_by_its_bytes_keeps_a_suffix_that_the_model_reads() -> None:
    assert kept_suffix(Images(), Upload("a.JPEG", b"\0\0\0\x0cjP  ")) == ".jpeg"
    assert kept_suffix(Images(), Upload("a.sh", b"\0\0\0\x0cjP  ")) == ""
