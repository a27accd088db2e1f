"""Where caches are kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_home() -> Path:
    """Return the folder that caches are kept in: the environment variable ONECYCLE_CACHE, or one in the home."""
    return Path(os.environ.get("ONECYCLE_CACHE") or Path.home() / ".cache" / "onecycle")
