"""Everything random in a fit, from one seed, and nothing else changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded_generators(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's generators of the CPU and of `device` while the context lasts, and restore them after it.

    Those of other devices are left alone: `torch.random.fork_rng` and `torch.manual_seed` start a context on every GPU
    of the machine, on which other people may compute.

    Example:
        >>> state = torch.get_rng_state()
        >>> with seeded_generators(torch.device("cpu"), 1):
        ...     drawn = torch.rand(1)
        >>> torch.equal(state, torch.get_rng_state())
        True
    """
    generators = _generators_of(device)
    states = [generator.get_state() for generator in generators]
    try:
        seed_generators(device, seed)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed torch's generators of the CPU and of `device`."""
    for generator in _generators_of(device):
        generator.manual_seed(seed)


def _generators_of(device: torch.device) -> list[torch.Generator]:
    """Return the default generators of the CPU and of an accelerator."""
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
        index = torch.cuda.current_device() if device.index is None else device.index
        return [torch.default_generator, torch.cuda.default_generators[index]]
    if device.type == "mps":
        return [torch.default_generator, torch.mps._get_default_mps_generator()]
    return [torch.default_generator]
