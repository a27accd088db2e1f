"""TF32 is used while a context lasts, and nothing is left behind."""

import threading

import pytest
import torch

from onecycle.inference import arithmetic as module
from onecycle.inference.arithmetic import arithmetic, has_tf32

CPU = torch.device("cpu")


def settings() -> tuple[str, bool, bool]:
    cudnn = torch.backends.cudnn
    return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark


@pytest.fixture
def _able(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings can be changed without a GPU that heeds them."""
    monkeypatch.setattr(module, "has_tf32", lambda device: True)


BEFORE = settings()


@pytest.mark.usefixtures("_able")
def test_settings_last_as_long_as_the_context() -> None:
    with arithmetic(CPU, tf32=True, benchmark=True):
        assert settings() == ("high", True, True)
        with arithmetic(CPU, tf32=False):
            assert settings() == ("highest", False, False)
        assert settings() == ("high", True, True)
    assert settings() == BEFORE
    with pytest.raises(KeyError), arithmetic(CPU, tf32=False):
        raise KeyError
    assert settings() == BEFORE


@pytest.mark.usefixtures("_able")
def test_the_last_of_several_threads_restores_them() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with arithmetic(CPU, tf32=True):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with arithmetic(CPU, tf32=True):
        thread.start()
        entered.wait()
    assert settings() == ("high", True, False)
    leave.set()
    thread.join()
    assert settings() == BEFORE


@pytest.mark.usefixtures("_able")
def test_what_the_user_set_in_the_newer_way_stays() -> None:
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32"
    try:
        with arithmetic(CPU, tf32=False):
            assert matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = before
    assert settings() == BEFORE


def test_a_processor_has_none() -> None:
    assert not has_tf32(CPU)
    with arithmetic(CPU, tf32=False, benchmark=True):
        assert settings() == BEFORE
