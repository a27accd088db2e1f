"""What the measurements stand on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the measurements read /proc, which is Linux's")
def test_the_time_since_a_process_began_is_within_the_time_that_its_parent_saw() -> None:
    code = "import time; time.sleep(0.2); from common import since_start; print(since_start())"
    before = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCH, capture_output=True, text=True, check=True)
    told, seen = float(done.stdout), time.perf_counter() - before
    assert 0.2 - 0.01 <= told <= seen + 0.01  # the start is told in hundredths of a second
