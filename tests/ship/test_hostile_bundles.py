"""A bundle from a stranger runs nothing, fetches nothing and takes no more memory than its size allows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import onecycle as oc
from ship.crafted_bundles import crafted, named_attacks
from ship.hostile_loads import TRAPPED, load_all
from ship.tiny_bundles import MODELS

# The rest of the corpus is loaded by tests/crash/fuzz_bundles.py.
EVERY_NTH = 43


@pytest.mark.slow
def test_crafted_bundles_are_refused_or_harmless(tmp_path: Path) -> None:
    corpus = list(crafted())
    outcome = load_all(corpus[::EVERY_NTH], tmp_path)
    assert outcome.wrong == []
    assert outcome.ends.total() > 100
    assert outcome.more_megabytes < 400


def test_the_corpus_has_every_attack_of_the_reviews() -> None:
    names = " ".join(one.name for one in named_attacks())
    for attack in ("timm_wrapper with a checkpoint", "auto_map", "backbone 'hf-hub:", "local-dir:", "size [6000, 6000]",
                   "num_hidden_layers=2000000", "classes ['blue']", "pretrained='/tmp/evil.pth'"):  # fmt: skip
        assert attack in names


@pytest.mark.parametrize("kind", MODELS)
def test_a_valid_bundle_loads(kind: str, tmp_path: Path) -> None:
    for name in ("model.onecycle", "model"):
        content = MODELS[kind]()
        loaded = oc.load_model(content.write(tmp_path / name), device="cpu").model.state_dict()
        assert all(bool((loaded[key] == tensor).all()) for key, tensor in content.tensors.items())


ACTS: dict[str, str] = {
    "a network": "socket.create_connection(('127.0.0.1', 9))",
    "another process": "subprocess.run(['true'])",
    "a shell": "os.system('true')",
    "a written file": "open('written', 'w')",
    "foreign code": "exec('pass')",
    "a library": "ctypes.CDLL('libm.so.6')",
    "a pickle": "pickle.loads(pickle.dumps(os.getcwd))",
    "a removed file": "os.remove('none')",
}


@pytest.mark.slow
def test_the_trap_sees_what_a_bundle_must_not_do(tmp_path: Path) -> None:
    """The loader is replaced by one that does what the lines say."""
    code = (
        "import ctypes, os, pickle, runpy, socket, subprocess, sys\n"
        "import onecycle as oc, onecycle.ship.model\n"
        f"acts = {{act: compile(act, '<bundle>', 'exec') for act in {list(ACTS.values())!r}}}\n"
        "def act(path, **options):\n    exec(acts[path])\n"
        "oc.load_model = act\n"
        f"sys.argv = ['x', {str(tmp_path / 'list')!r}]\n"
        f"runpy.run_path({str(TRAPPED)!r}, run_name='__main__')\n"
    )
    (tmp_path / "list").write_text("\n".join(ACTS.values()))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [json.loads(line)["end"] for line in done.stdout.splitlines()] == ["alarm"] * len(ACTS)
    assert not (tmp_path / "written").exists()
