"""Runs a function in several processes that are joined by gloo, and gives up when one of them hangs."""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any, Self

import pytest

SECONDS = 60
STARTING = 240  # to import torch in four processes, on a machine that does other work too


class Group:
    """Some processes that run what they are sent.

    Args:
        world: How many.

    Example:
        >>> with Group(2) as group:
        ...     group.run(module_level_function, "argument")
        ["what it returned in process 0", "what it returned in process 1"]
    """

    def __init__(self, world: int) -> None:
        self.world = world
        self.processes: list[Any] = []
        self.connections: list[Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def run(self, function: Callable[..., Any], *arguments: Any, seconds: float = SECONDS) -> list[Any]:
        """Call a function of a module in every process, and return what each returned, by rank.

        The test fails where one of them raises, or has not answered after so many seconds.
        """
        failed = [text for kind, text in self.outcomes(function, *arguments, seconds=seconds) if kind == "raised"]
        if failed:
            pytest.fail("\n".join(failed))
        return self.values

    def outcomes(
        self, function: Callable[..., Any], *arguments: Any, seconds: float = SECONDS
    ) -> list[tuple[str, Any]]:
        """Return ("returned", value) or ("raised", traceback) of every process, by rank."""
        if not self.processes:
            self._start()
        for connection in self.connections:
            connection.send((function, arguments))
        found: list[tuple[str, Any]] = []
        for rank, connection in enumerate(self.connections):
            if not connection.poll(seconds):
                self.stop()
                pytest.fail(f"process {rank} of {self.world} hangs: no answer after {seconds:g} s")
            try:
                found.append(connection.recv())
            except EOFError:
                found.append(("raised", f"process {rank} died"))
        self.values = [value for _, value in found]
        if any(kind == "raised" for kind, _ in found):
            self.stop()  # the others may wait for what the one that raised will never send
        return found

    def stop(self) -> None:
        """End all processes; the next run starts others."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join()
        self.processes, self.connections = [], []

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for rank in range(self.world):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, rank, self.world, port), daemon=True)
            process.start()
            theirs.close()
            self.processes.append(process)
            self.connections.append(ours)
        for rank, connection in enumerate(self.connections):
            if not connection.poll(STARTING):
                self.stop()
                pytest.fail(f"process {rank} of {self.world} has not started after {STARTING} s")
            connection.recv()


def _serve(connection: Connection, rank: int, world: int, port: int) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    import torch

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=SECONDS))
    connection.send("started")
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("returned", function(*arguments)))
        except BaseException:
            connection.send(("raised", traceback.format_exc()))
