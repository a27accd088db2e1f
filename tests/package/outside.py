"""What is built from the source, and environments with nothing else in them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Built:
    """A source distribution, the wheel made from it, and the wheel made from the tree itself."""

    files: frozenset[str]  # the paths of the source
    sdist: Path
    wheel: Path
    wheel_of_tree: Path


class Environment:
    """A virtual environment outside of the source, used from a folder where nothing else is."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.python = folder, folder / "venv/bin/python"
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)

    def install(self, *arguments: str | Path) -> None:
        self.run("-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", *arguments)

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Run this environment's Python; return what it printed."""
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        done = subprocess.run(
            [self.python, *arguments], capture_output=True, text=True, cwd=cwd or self.folder, env=outside, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
