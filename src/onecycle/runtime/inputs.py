"""From an item to what the model takes, by the code that reads items in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from onecycle.errors import BundleError
from onecycle.vision.decode import ImageGeometry, Resize, check_is_no_image, decode_with_geometry
from onecycle.vision.image_size import as_size
from onecycle.vision.read_options import ReadOptions, read_options

if TYPE_CHECKING:
    from onecycle.text.tokenizer import Tokenizer


class Input(NamedTuple):
    """One item as it was read, and where it lies in its original, where that is known."""

    values: NDArray[Any]
    geometry: ImageGeometry | None = None


class Reader(Protocol):
    """How one kind of item is read."""

    def read(self, item: Any) -> Input:
        """Read one item.

        Raises:
            DataError: It cannot be read.
        """

    def check_given(self, item: Any) -> None:
        """Refuse an item that cannot be meant; see `Modality.check_given`."""
        return

    def check_given_list(self, items: Any) -> None:
        """Refuse one item in the place of a list of them; see `Modality.check_given_list`."""
        return

    def collate(self, values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Return items as the model takes them, (batch, ...)."""


@dataclass(frozen=True)
class ImageReader(Reader):
    """Reads images: a path, the contents of a file, a PIL image, or an array of uint8 pixels.

    Example:
        >>> ImageReader((8, 12), "crop", ReadOptions()).read(np.zeros((20, 30, 3), np.uint8)).values.shape
        (8, 12, 3)
    """

    size: tuple[int, int]
    method: Resize
    options: ReadOptions

    def read(self, item: Any) -> Input:
        return Input(*decode_with_geometry(item, self.size, self.method, self.options))

    def check_given_list(self, items: Any) -> None:
        check_is_no_image(items)

    def collate(self, values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Return uint8, (batch, height, width, 3)."""
        return np.stack(values)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImageReader:
        """Return how images are read by the modality that `config` describes."""
        if config["method"] not in get_args(Resize):
            raise ValueError(f"method {config['method']!r}")
        options = read_options(config.get("range"), config.get("page"), config.get("orientation"))
        return cls(as_size(config["size"]), config["method"], options)


@dataclass(frozen=True)
class TextReader(Reader):
    """Reads texts: a text itself, the `Path` of a text file, its bytes, or token ids."""

    tokenizer: Tokenizer
    max_length: int
    beginning: float
    rules: tuple[str, ...]

    def read(self, item: Any) -> Input:
        from onecycle.text.reading import read_token_ids

        return Input(read_token_ids(item, self.tokenizer, self.max_length, self.beginning, self.rules))

    def check_given(self, item: Any) -> None:
        from onecycle.text.reading import check_is_text

        check_is_text(item)

    def collate(self, values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Return int64, (batch, length), padded at the end."""
        from onecycle.text.reading import pad_token_ids

        return pad_token_ids(values, self.tokenizer.pad)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextReader:
        """Return how texts are read by the modality that `config` describes.

        Raises:
            BundleError: The package `tokenizers` is not installed.
        """
        try:
            from onecycle.text.cleaning import check_rules
            from onecycle.text.reading import check_beginning, check_max_length
            from onecycle.text.tokenizer import Tokenizer
        except ImportError as error:
            raise BundleError(
                f"This model reads texts, and {error.name} is not installed.", "the package tokenizers.",
                "pip install tokenizers",
            ) from error  # fmt: skip
        tokenizer = Tokenizer.from_config(config["tokenizer"])
        length = check_max_length(config["max_length"], tokenizer)
        return cls(tokenizer, length, check_beginning(config.get("beginning", 1.0)), check_rules(config["rules"]))


@dataclass(frozen=True)
class ArrayReader(Reader):
    """Takes arrays as they are, for models of plain tensors.

    Example:
        >>> ArrayReader().read([1.0, 2.0]).values.dtype
        dtype('float32')
    """

    dtype: str = "float32"

    def read(self, item: Any) -> Input:
        return Input(np.asarray(item, self.dtype))

    def collate(self, values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(values)


READERS: dict[str, Callable[[dict[str, Any]], Reader]] = {
    "images": ImageReader.from_config,
    "texts": TextReader.from_config,
    "tensors": lambda config: ArrayReader(config.get("dtype", "float32")),
}
"""By the kind of a modality."""
