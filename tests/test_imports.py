import gc
import subprocess
import sys
from pathlib import Path

import pytest

from onecycle.imports import without_collecting


def test_the_collector_pauses_and_goes_on() -> None:
    assert gc.isenabled()
    with without_collecting():
        assert not gc.isenabled()
        with without_collecting():  # an import within an import
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_a_failed_import() -> None:
    with pytest.raises(ImportError), without_collecting():
        import onecycle.no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled()


def test_who_has_stopped_the_collector_keeps_it_stopped() -> None:
    gc.disable()
    try:
        with without_collecting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_the_user_has_frozen_stays_frozen() -> None:
    code = (
        "import gc; from onecycle.imports import without_collecting\n"
        "gc.freeze(); before = gc.get_freeze_count()\n"
        "with without_collecting(): pass\n"
        "assert gc.get_freeze_count() > before * 0.9 > 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_was_imported_is_still_collected() -> None:
    code = (
        "import gc; from onecycle.imports import without_collecting; gc.collect()\n"
        "with without_collecting(): circle = []; circle.append(circle); del circle\n"
        "assert gc.get_freeze_count() == 0 and gc.collect() >= 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_program_has_frozen_stays_frozen() -> None:
    code = (
        "import gc; from onecycle.imports import without_collecting; gc.freeze(); frozen = gc.get_freeze_count()\n"
        "with without_collecting(): pass\n"
        "assert gc.get_freeze_count() == frozen > 1000"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_found_in_the_data_is_printed_before_torch_is_imported(photos: Path, tmp_path: Path) -> None:
    code = f"import sys; sys.modules['torch'] = None; from onecycle.cli import main; main(['train', {str(photos)!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "# classes: blue (10), green (10), red (10)" in done.stdout
    assert "import of torch halted" in done.stderr


@pytest.mark.parametrize("name", ["Learner", "load_model"])
def test_a_public_name_is_imported_with_the_collector_paused(name: str) -> None:
    code = (
        "import gc, onecycle; starts = []\n"
        "gc.callbacks.append(lambda phase, info: starts.append(phase))\n"
        f"onecycle.{name}; assert 'torch' in __import__('sys').modules; print(len(starts), gc.isenabled())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    collections, enabled = done.stdout.split()
    assert enabled == "True"
    assert int(collections) < 20  # it was a thousand
