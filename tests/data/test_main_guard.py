"""A script without a main guard is told what to do, by the worker that ran it again."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from onecycle.data.main_guard import check_main_guard
from onecycle.errors import DataError
from toy_parts import write_series

SCRIPT = """
import multiprocessing, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from toy_parts import box_bunch

def main():
    multiprocessing.set_start_method("spawn", force=True)
    bunch = box_bunch(Path({data!r}), workers=1)
    print(sum(len(batch) for batch in bunch.train.epoch(0)), "items")

{call}
"""


def run(folder: Path, call: str) -> "subprocess.CompletedProcess[str]":
    script = folder / "script.py"
    source = SCRIPT.format(tests=str(Path(__file__).parents[1]), data=str(folder / "data"), call=call)
    script.write_text(source)
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)


def test_a_worker_that_would_start_workers_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    check_main_guard()
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(DataError) as caught:
        check_main_guard()
    assert str(caught.value) == (
        "A worker process ran the whole script again, and was about to start workers itself.\n"
        'Expected a script whose training is below `if __name__ == "__main__":`.\n'
        'Fix: put the training into a function main(), and write `if __name__ == "__main__": main()` below it; or pass '
        "workers=0 to databunch()."
    )


@pytest.mark.slow
def test_the_fix_works(tmp_path: Path) -> None:
    write_series(tmp_path / "data", 10)
    wrong = run(tmp_path, "main()")
    assert wrong.returncode != 0
    assert "Fix: put the training into a function main()" in wrong.stderr
    right = run(tmp_path, 'if __name__ == "__main__":\n    main()')
    assert (right.returncode, right.stdout) == (0, "8 items\n"), right.stderr
