"""The pretended device refuses what CUDA refuses, and counts what CUDA would wait for."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onecycle.metrics.meters import CountMeter, fraction
from pretend_device import ASYNC, SYNC, Stream, pretend_cuda, recorded

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device, so none is pretended")


@pytest.fixture(autouse=True)
def _pretend(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.config.getoption("--device") == "pretend":
        yield
        return
    with pretend_cuda():
        yield


def here(*shape: int) -> Tensor:
    return torch.ones(shape)


def there(*shape: int) -> Tensor:
    return torch.ones(shape, device="cuda")


TWO_DEVICES: dict[str, Callable[[], Any]] = {
    "sum": lambda: here(2) + there(2),
    "in place": lambda: there(2).add_(here(2)),
    "matrices": lambda: here(2, 2) @ there(2, 2),
    "cat": lambda: torch.cat([here(2), there(2)]),
    "number in stack": lambda: torch.stack([here(), there()]),
    "equal": lambda: torch.equal(here(2), there(2)),
    "where": lambda: torch.where(there(2) > 0, here(2), there(2)),
    "module": lambda: nn.Linear(2, 2).to("cuda")(here(1, 2)),
    "embedding": lambda: nn.Embedding(3, 2).to("cuda")(torch.tensor([1])),
    "loss": lambda: nn.functional.cross_entropy(there(1, 2), torch.tensor([1])),
    "gather": lambda: there(2).gather(0, torch.tensor([1])),
    "assignment": lambda: there(2).__setitem__(torch.tensor([0, 1], device="cuda"), here(2)),
    "backward": lambda: (there(2).requires_grad_() * there(2)).backward(here(2)),
}  # fmt: skip


@pytest.mark.parametrize("case", TWO_DEVICES)
def test_operations_on_two_devices_raise(case: str) -> None:
    with pytest.raises(RuntimeError):
        TWO_DEVICES[case]()


def test_the_message_is_that_of_cuda() -> None:
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device, but found at least two dev"):
        here(2) + there(2)
    with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device as the indexed tens"):
        here(2)[torch.tensor([0], device="cuda")]
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        there(2).numpy()
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
        torch.rand(2, device="cuda", generator=torch.Generator())


def test_numbers_may_be_on_the_cpu() -> None:
    assert (there(2) * torch.tensor(2.0) + 1).tolist() == [3.0, 3.0]


def test_what_is_made_from_tensors_of_the_device_is_there_too() -> None:
    whole = there(4, 3).requires_grad_()
    made = [
        whole[1:], whole.view(12), whole * 2, whole.new_zeros(2), torch.zeros_like(whole), whole.double().detach(),
        nn.functional.one_hot(there(2).long(), 3), whole.clone(), nn.Parameter(there(2)), *whole.unbind(),
    ]  # fmt: skip
    whole.sum().backward()
    assert whole.grad is not None
    assert {tensor.device.type for tensor in [*made, whole.grad]} == {"cuda"}
    assert {tensor.device.type for tensor in [whole.cpu(), whole.to("cpu"), whole.to(here(1)), here(2)]} == {"cpu"}


def test_a_module_moves_and_learns() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)).to("cuda")
    optimizer = torch.optim.AdamW(layers.parameters(), fused=True)
    before = layers[3].weight.detach().clone()
    layers(torch.rand(2, 3, 4, 4, device="cuda")).square().sum().backward()
    optimizer.step()
    assert {tensor.device.type for tensor in layers.state_dict().values()} == {"cuda"}
    assert not torch.equal(layers[3].weight, before)
    assert {tensor.device.type for tensor in layers.cpu().state_dict().values()} == {"cpu"}


def test_the_meta_device_is_itself() -> None:
    assert there(2).to("meta").device.type == "meta"
    assert torch.zeros(2, device="meta").sum().device.type == "meta"


SYNCHRONISING: dict[str, Callable[[], Any]] = {
    "float": lambda: float(there(1)),
    "item": lambda: there(1).item(),
    "bool": lambda: bool(there(1).any()),
    "tolist": lambda: there(2).tolist(),
    "cpu": lambda: there(2).cpu(),
    "to the CPU": lambda: there(2).to("cpu"),
    "pageable": lambda: here(2).to("cuda", non_blocking=True),
    "pinned, blocking": lambda: here(2).pin_memory().to("cuda"),
    "from a list": lambda: torch.tensor([1.0, 2.0], device="cuda"),
    "mask": lambda: there(2)[torch.tensor([True, False]).to("cuda", non_blocking=True).clone()],
    "index on the CPU": lambda: there(2)[torch.tensor([1])],
    "nonzero": lambda: there(2).nonzero(),
    "copy_": lambda: here(2).copy_(there(2)),
    "event": lambda: torch.cuda.Event().synchronize(),
}  # fmt: skip


@pytest.mark.parametrize("case", SYNCHRONISING)
def test_synchronisations_are_counted(case: str, request: pytest.FixtureRequest) -> None:
    if case == "event" and request.config.getoption("--device") != "pretend":
        pytest.skip("events are pretended with --device pretend alone")
    with recorded() as traffic:
        SYNCHRONISING[case]()
    assert traffic.count(SYNC) == (2 if case == "mask" else 1)
    assert traffic.count(ASYNC) == 0


def test_copies_between_pinned_memory_and_the_device_are_asynchronous() -> None:
    pinned = here(2).pin_memory()
    assert pinned.is_pinned()
    with recorded() as traffic:
        moved = pinned.to("cuda", non_blocking=True)
        back = moved.to("cpu", non_blocking=True)
        pinned.copy_(moved, non_blocking=True)
    assert (traffic.count(ASYNC), traffic.count(SYNC)) == (3, 0)
    assert back.tolist() == [1.0, 1.0]


def test_what_stays_on_a_device_is_not_counted() -> None:
    with recorded() as traffic:
        one = there(3, 3) @ torch.full((3, 3), 2.0, device="cuda")
        one.to("cuda").double().sum().add_(1)
        here(3).tolist()
    assert not traffic.events


def test_events_have_the_line_of_the_library_that_asked() -> None:
    with recorded() as traffic:
        CountMeter(lambda predictions, targets: predictions, fraction).load_state_dict({"counts": there(2)})
        meter = CountMeter(lambda predictions, targets: predictions, fraction)
        meter.update(there(2), there(2))
        meter.compute()
        float(there(1))
    [(ours, count), (outside, _)] = traffic.events.most_common()
    assert (ours[0], ours[1].split(":")[0], count) == (SYNC, "metrics/meters.py", 1)
    assert outside == (SYNC, "outside the library")
    assert str(traffic).startswith("   1 synchronisation: metrics/meters.py:")


def test_a_stream_waits_for_what_another_one_computes() -> None:
    side = Stream()
    before = there(2)
    side.wait_stream(Stream.current())
    with Stream.use(side):
        made = before * 2
        viewed = made[:1]
    for used in (lambda: made + 1, lambda: viewed + 1, lambda: made.cpu(), lambda: made.add_(1)):
        with pytest.raises(RuntimeError, match="A stream uses what another one has not computed yet"):
            used()
    Stream.current().wait_stream(side)
    assert (made + before).tolist() == [3.0, 3.0]
    after = before * 3
    with Stream.use(side), pytest.raises(RuntimeError, match="A stream uses what another one has not computed yet"):
        after * 2


def test_other_threads_pretend_too(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--device") != "pretend":
        pytest.skip("threads are pretended in with --device pretend alone")
    devices: list[str] = []
    thread = threading.Thread(target=lambda: devices.append(there(2).device.type))
    thread.start()
    thread.join()
    assert devices == ["cuda"]


def test_learners_choose_it() -> None:
    """In a process of its own: what is chosen there is chosen for good."""
    code = "import pretend_device; pretend_device.install(); from devices import DEVICE; print(DEVICE)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "cuda"
