"""What the hub's client raises, as the library's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onecycle.bundle.layout import one_line
from onecycle.errors import BundleError, DataError, ModelError, OnecycleError


def hub_client() -> Any:
    """Return the package huggingface_hub.

    Raises:
        ModelError: It is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ModelError(
            "huggingface_hub is not installed.", "huggingface_hub, for models on the hub.",
            'pip install "onecycle[hub]".',
        ) from error  # fmt: skip
    return huggingface_hub


@contextmanager
def told_of_hub(repo_id: str) -> Iterator[None]:
    """Raise what the hub's client raises as an error that says what to do."""
    hub_client()
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, LocalEntryNotFoundError

    try:
        yield
    except HFValidationError as error:
        raise not_a_name(repo_id) from error
    except LocalEntryNotFoundError as error:
        raise _not_reached(repo_id, error) from error
    except HfHubHTTPError as error:
        raise _refused(repo_id, error) from error
    except (HTTPError, ConnectionError) as error:
        raise _not_reached(repo_id, error) from error


def not_a_name(repo_id: str) -> DataError:
    """Return the error for what is not the name of a repository."""
    return DataError(
        f"{repo_id!r} is not the name of a repository.", "user/name, of letters, digits, '-', '_' and '.'.",
        "pass it as the hub shows it, such as 'user/photos'.",
    )  # fmt: skip


def _not_reached(repo_id: str, error: BaseException) -> OnecycleError:
    return BundleError(
        f"The hub could not be reached for {repo_id}: {one_line(_cause(error), 160)}",
        f"a connection to {hub_place()}.",
        "connect to the network, or unset HF_HUB_OFFLINE; load_model() reads local files without one.",
    )


def _refused(repo_id: str, error: Any) -> OnecycleError:
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    status = error.response.status_code
    if isinstance(error, RevisionNotFoundError):
        return BundleError(
            f"{repo_id} has no such revision.", "one of its branches, tags or commits.",
            f"see {hub_place()}/{repo_id}/commits/main, or leave revision= out.",
        )  # fmt: skip
    if isinstance(error, EntryNotFoundError):
        return BundleError(
            f"{repo_id} holds no model of onecycle.",
            "config.json and model.safetensors, as push_to_hub() writes them.",
            "pass the repository of a model that learner.push_to_hub() pushed.",
        )  # fmt: skip
    if isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError):
        return BundleError(
            f"There is no {repo_id} on the hub, or it is private.", "a repository that exists and may be read.",
            f"check the name at {hub_place()}/{repo_id}; if it is private, set HF_TOKEN or run hf auth login.",
        )  # fmt: skip
    if status in (401, 403):
        why = "without a valid token" if status == 401 else "with this token"
        return BundleError(
            f"The hub does not give access to {repo_id} {why}.",
            f"a token with the right to it, from {hub_place()}/settings/tokens.",
            "set HF_TOKEN, run hf auth login, or pass token=.",
        )
    return BundleError(
        f"The hub answered {status} for {repo_id}: {one_line(error.server_message or error, 160)}",
        "an answer without an error.", "do what it says, or try again later.",
    )  # fmt: skip


def _cause(error: BaseException) -> BaseException:
    """Return what lies behind: "not in the cache" is told where the network could not be reached."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def hub_place() -> str:
    """Return the address of the hub; HF_ENDPOINT is another one."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)
