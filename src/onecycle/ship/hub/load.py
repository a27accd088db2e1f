"""`from_hub`."""

from __future__ import annotations

import torch

from onecycle.calls import explained
from onecycle.ship.hub.download import downloaded
from onecycle.ship.model import Model, load_model


@explained
def from_hub(
    repo_id: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    device: str | torch.device | None = None,
    fuse: bool = False,
) -> Model:
    """Load a model that `Learner.push_to_hub` pushed. `load_model("hf://user/name@revision")` does the same.

    Only `config.json` and `model.safetensors` are downloaded; they are checked as every bundle is, and no code from
    the repository runs. It needs huggingface_hub: pip install "onecycle[hub]".

    Args:
        repo_id: "user/name".
        revision: A branch, a tag or a commit; None takes the newest of the main branch.
        token: For private repositories; None takes HF_TOKEN, or that of `hf auth login`.
        device: As for `load_model`.
        fuse: As for `load_model`.
    Raises:
        BundleError: There is no such repository or revision, it holds no model of onecycle, it is damaged, or the hub
            cannot be reached.
        DataError: `repo_id` is not the name of a repository.
    Example:
        >>> model = oc.from_hub("user/photos", revision="v1")  # doctest: +SKIP
    """
    with downloaded(repo_id, revision, token) as folder:
        return load_model(folder, device=device, fuse=fuse)
