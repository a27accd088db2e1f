"""Starts and kills processes that write a bundle, and reads it meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bundle.endless_writer import __file__ as writer
from onecycle.bundle import read_bundle


@contextmanager
def endless_writer(path: Path, contents: int = 2) -> Iterator[subprocess.Popen[str]]:
    """A process that writes at a path again and again; killed by `kill -9` at the end."""
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, tests])}
    process = subprocess.Popen(
        [sys.executable, writer, str(path), str(contents)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "written\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def read_numbered(path: Path) -> int:
    """Read a bundle of `endless_writer`, and check that it is of one piece."""
    tensors, config = read_bundle(path, "numbered")
    numbers = {float(number) for tensor in tensors.values() for number in tensor.unique()}
    assert numbers == {float(config["number"])}, f"{numbers} in {config['number']}"
    return int(config["number"])


def kill_once(path: Path, seconds: float) -> int:
    """Kill a writer after a while, and return the number of the bundle that is there then."""
    with endless_writer(path) as process:
        time.sleep(seconds)
        process.kill()
        process.wait()
        return read_numbered(path)
