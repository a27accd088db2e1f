"""Pushing a bundle to the hub: config, weights and card in one commit."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

from onecycle.bundle import write_bundle
from onecycle.bundle.layout import CONFIG, TENSORS, is_weights
from onecycle.errors import BundleError, users_level
from onecycle.registry import register
from onecycle.ship.hub.card import MARK, card_of
from onecycle.ship.hub.errors import hub_client, hub_place, told_of_hub
from onecycle.ship.model import find_bundle
from onecycle.ship.rebuild import read_model
from onecycle.train.learner import Learner

CARD = "README.md"


@register("report", "hub")
def push_learner(learner: Learner, repo_id: str, **options: Any) -> str:
    """Push a learner's model; see `Learner.push_to_hub`. Of several processes, the main one pushes."""
    hub_client()
    with tempfile.TemporaryDirectory(prefix="onecycle-") as place:
        folder = learner.export(Path(place) / "bundle")
        return learner.state.processes.decide(lambda: push_folder(folder, repo_id, **options))


def push_bundle(path: str | Path, repo_id: str, **options: Any) -> str:
    """Push a bundle, or the model in the folder of a run; the options are those of `push_folder`."""
    hub_client()
    tensors, config = read_model(find_bundle(path))
    with tempfile.TemporaryDirectory(prefix="onecycle-") as place:
        return push_folder(write_bundle(Path(place) / "bundle", tensors, config), repo_id, **options)


def push_folder(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: str | None = None,
    commit_message: str = "A model of onecycle",
) -> str:
    """Push a bundle that is a folder, and return the address of the repository.

    Raises:
        BundleError: The hub does not take it, cannot be reached, or the repository holds a model of another library.
        DataError: `repo_id` is not the name of a repository.
    """
    api = hub_client().HfApi(endpoint=hub_place(), token=token)
    added = hub_client().CommitOperationAdd
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    weights = next(file for file in folder.iterdir() if is_weights(file.name))
    with told_of_hub(repo_id):
        place = api.create_repo(repo_id, private=private, exist_ok=True)
        name = place.repo_id
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        _check_is_ours(name, _content(api, name, CONFIG, revision))
        files = [added(CONFIG, folder / CONFIG), added(TENSORS, weights)]
        before = _content(api, name, CARD, revision)
        if before is None or MARK in before:
            own_words = "" if before is None else before.partition(MARK)[2]
            files.append(added(CARD, (card_of(config, name) + MARK + own_words).encode()))
        else:
            warnings.warn(
                f"{name} keeps its own {CARD}, which onecycle did not write. Delete it there and push again for a card "
                "of this model.", stacklevel=users_level(),
            )  # fmt: skip
        api.create_commit(name, files, commit_message=commit_message, revision=revision)
    return str(place)


def _content(api: Any, repo_id: str, name: str, revision: str | None) -> str | None:
    """Return a text file of a repository; None where there is none."""
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        path = api.hf_hub_download(repo_id, name, revision=revision)
    except RemoteEntryNotFoundError:
        return None
    return Path(path).read_text(encoding="utf-8", errors="replace")


def _check_is_ours(repo_id: str, config: str | None) -> None:
    if config is None:
        return
    try:
        ours = "onecycle" in json.loads(config)
    except (ValueError, TypeError):
        ours = False
    if not ours:
        raise BundleError(
            f"{repo_id} holds a model of another library: its {CONFIG} is not onecycle's.",
            "a new repository, or one with a model of onecycle.", "push to another name.",
        )  # fmt: skip
