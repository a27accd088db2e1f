"""A bundle from the hub: its two files alone, of one commit, as a folder of their own."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onecycle.bundle.layout import CONFIG, TENSORS
from onecycle.ship.hub.errors import hub_client, hub_place, not_a_name, told_of_hub

# `pathlib` makes one slash of two.
_ADDRESS = re.compile(r"hf:/{1,2}(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>[^@]+))?")


def hub_address(path: object) -> tuple[str, str | None] | None:
    """Return repository and revision of an address on the hub; None of anything else.

    Example:
        >>> hub_address("hf://user/photos"), hub_address(Path("hf://user/photos@v1")), hub_address("photos.onecycle")
        (('user/photos', None), ('user/photos', 'v1'), None)
    """
    found = _ADDRESS.fullmatch(str(path)) if isinstance(path, str | Path) else None
    return (found["repo"], found["revision"]) if found else None


@contextmanager
def downloaded(repo_id: str, revision: str | None = None, token: str | None = None) -> Iterator[Path]:
    """Give the folder of a bundle from the hub; the files stay in the hub's cache, and nothing else is downloaded.

    Raises:
        BundleError: There is no such repository or revision, it holds no bundle, or the hub cannot be reached.
        DataError: `repo_id` is not the name of a repository.
        ModelError: huggingface_hub is not installed.
    """
    if not all(repo_id.partition("/")):  # the client would ask for a name without a user, again and again
        raise not_a_name(repo_id)
    with tempfile.TemporaryDirectory(prefix="onecycle-") as place:
        folder = Path(place, *repo_id.split("/"))
        folder.mkdir(parents=True)
        with told_of_hub(repo_id):
            download = hub_client().HfApi(endpoint=hub_place(), token=token).hf_hub_download
            config = Path(download(repo_id, CONFIG, revision=revision))
            # The weights are of the same commit, also where another one is pushed meanwhile.
            weights = Path(download(repo_id, TENSORS, revision=config.parent.name))
        for name, file in ((CONFIG, config), (TENSORS, weights)):
            _place(file.resolve(), folder / name)  # the cache has links, and a bundle none
        yield folder


def _place(file: Path, at: Path) -> None:
    try:
        os.link(file, at)
    except OSError:  # another file system
        shutil.copyfile(file, at)
