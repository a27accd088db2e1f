"""Freed memory is used again: counted in page faults, of a process of its own."""

import subprocess
import sys

import pytest

from onecycle.allocator import keep_freed_memory

COUNT_FAULTS = """
import resource, torch
from onecycle.allocator import keep_freed_memory
kept = {call}
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(24):
    if number == 20:
        before = faults()
    torch.ones(2**24)  # 64 MiB
print(kept, faults() - before)
"""


def page_faults(call: str, **environment: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS.format(call=call)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), **environment},
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
@pytest.mark.slow
def test_memory_of_freed_tensors_is_used_again() -> None:
    if not keep_freed_memory():
        pytest.skip("the C library is not glibc, or the user has set how it allocates")
    kept, faults = page_faults("keep_freed_memory()")
    assert kept == "True"
    assert faults < 1000 < page_faults("None")[1]


def test_what_the_user_has_set_stays() -> None:
    assert page_faults("keep_freed_memory()", MALLOC_TRIM_THRESHOLD_="100000")[0] == "False"
