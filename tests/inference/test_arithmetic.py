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
    monkeypatch.setattr(module, "has_cudnn", lambda device: True)
    monkeypatch.setattr(module, "has_tf32", lambda device: True)


BEFORE = settings()


@pytest.mark.usefixtures("_able")
def test_settings_last_as_long_as_the_context() -> None:
    with arithmetic(CPU, tf32=True, benchmark=True):
        assert settings() == ("high", True, True)
        with arithmetic(CPU, tf32=False, benchmark=False):
            assert settings() == ("highest", False, False)
        with arithmetic(CPU, tf32=False):  # as a forward pass within a training step
            assert settings() == ("highest", False, True)
        assert settings() == ("high", True, True)
    assert settings() == BEFORE
    with pytest.raises(KeyError), arithmetic(CPU, tf32=False):
        raise KeyError
    assert settings() == BEFORE


@pytest.mark.usefixtures("_able")
def test_convolutions_give_the_same_bits_unless_the_fastest_are_tried() -> None:
    cudnn = torch.backends.cudnn
    assert not cudnn.deterministic
    with arithmetic(CPU, tf32=True):
        assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
        with arithmetic(CPU, tf32=True, benchmark=True):
            assert (cudnn.deterministic, cudnn.benchmark) == (False, True)
        assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
    assert not cudnn.deterministic


def test_older_gpus_convolve_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_cudnn", lambda device: True)
    with arithmetic(CPU, tf32=True):
        assert settings() == BEFORE
        assert torch.backends.cudnn.deterministic


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
            assert torch.backends.cudnn.deterministic
    finally:
        matmul.fp32_precision = before
    assert settings() == BEFORE


def test_a_processor_has_none() -> None:
    assert not has_tf32(CPU)
    with arithmetic(CPU, tf32=False, benchmark=True):
        assert settings() == BEFORE
