"""compile=True: one graph, the same training, and plain names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import onecycle as oc
from devices import CPU, DEVICE
from learners import photo_bunch, tiny, weights_of
from onecycle.errors import ModelError
from onecycle.train import compiling
from onecycle.train.compiling import CompiledForward, compiled_forward

pytestmark = pytest.mark.skipif("config.getoption('--device') == 'pretend'", reason="modes are not compiled")
COMPILE = torch.compile


class Graphs:
    """A backend that runs each graph as it is, and counts them; the real one takes minutes on a processor."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.asked: list[dict[str, Any]] = []

    def compile(self, module: nn.Module, **options: Any) -> Any:
        self.asked.append(options)
        return COMPILE(module, backend=self.backend, dynamic=options["dynamic"])

    def backend(self, graph: Any, examples: list[Tensor]) -> Callable[..., Any]:
        self.shapes.append(next(tuple(e.shape) for e in examples if isinstance(e, Tensor) and e.ndim in (2, 4)
                                and not isinstance(e, nn.Parameter)))  # fmt: skip
        return graph.forward  # type: ignore[no-any-return]


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Graphs]:
    torch._dynamo.reset()
    found = Graphs()
    monkeypatch.setattr(compiling.torch, "compile", found.compile)
    yield found
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet"])
def test_the_usual_backbones_are_one_graph(backbone: str, photos: Path) -> None:
    torch._dynamo.reset()
    model = tiny(photo_bunch(photos), backbone, frozen=False).model.train()
    found = torch._dynamo.explain(model)(torch.rand(4, 3, 32, 32, device=DEVICE))
    torch._dynamo.reset()
    assert (found.graph_count, found.graph_break_count) == (1, 0), found.break_reasons


@pytest.mark.slow
def test_a_fit_is_the_same_and_names_stay_plain(photos: Path, graphs: Graphs, tmp_path: Path) -> None:
    # 24 items in four batches of 5 and one of 4.
    fits = {}
    for compiled in (False, True):
        learner = tiny(photo_bunch(photos, batch_size=5), frozen=False, compile=compiled)
        learner.fit_one_cycle(2, 1e-3)
        fits[compiled] = learner
    plain, compiled_weights = weights_of(fits[False]), weights_of(fits[True])
    assert list(plain) == list(compiled_weights)
    for name, tensor in plain.items():
        torch.testing.assert_close(compiled_weights[name], tensor, rtol=1e-4, atol=1e-5)
    assert "the forward pass is compiled" in fits[True].history.notes[0]
    assert not any("compiled" in note for note in fits[False].history.notes)
    path = fits[True].export(tmp_path / "model.onecycle")
    assert oc.load_model(path).classes == fits[True].data.classes
    fits[False].load(fits[True].save(tmp_path / "fit.ckpt"))


@pytest.mark.slow
def test_the_last_smaller_batch_is_not_compiled(photos: Path, graphs: Graphs) -> None:
    bunch = photo_bunch(photos, batch_size=5)
    sizes = {len(batch) for batch in bunch.train}
    assert len(sizes) == 2
    learner = tiny(bunch, frozen=False, compile=True)
    learner.fit(2, 1e-3)
    assert [shape for shape in graphs.shapes if len(shape) == 4] == [(max(sizes), 3, 32, 32)]


def test_a_head_on_cached_features_is_not_compiled(photos: Path, graphs: Graphs) -> None:
    learner = tiny(photo_bunch(photos), compile=True)
    learner.fit(1, 1e-3)
    assert not graphs.asked
    assert not learner.history.notes


@pytest.mark.parametrize(("items", "expected"), [(8, [8, 8]), (None, [3, 8, 3, 8])])
def test_batches_of_one_size_are_compiled(
    items: int | None, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes first: a resumed epoch may begin with its last batch."""
    seen: list[int] = []

    def compile(module: nn.Module, **options: Any) -> Callable[[Tensor], Tensor]:
        def call(inputs: Tensor) -> Tensor:
            seen.append(len(inputs))
            outputs: Tensor = module(inputs)
            return outputs

        return call

    monkeypatch.setattr(compiling.torch, "compile", compile)
    forward = CompiledForward(nn.Identity(), items=items)
    assert [len(forward(torch.ones(size))) for size in (3, 8, 3, 8)] == [3, 8, 3, 8]
    assert seen == expected


@pytest.mark.parametrize(
    ("change", "graph"),
    [({}, True), ({"accumulate": 2}, False), ({"microbatches": 3}, False), ({"lengths": True}, False),
     ({"device": CPU}, False)],
    ids=["fixed shapes", "accumulated", "microbatches", "texts", "processor"],
)  # fmt: skip
def test_cuda_graphs_where_nothing_outlives_a_step(
    change: dict[str, Any], graph: bool, photos: Path, graphs: Graphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tiny(photo_bunch(photos), frozen=False, accumulate=change.get("accumulate", 1)).state
    state.num_microbatches = change.get("microbatches", 1)
    if "lengths" in change:
        state.data.train.lengths = torch.ones(24)
    monkeypatch.setattr(type(state), "device", change.get("device", torch.device("cuda")))
    forward = compiled_forward(state, nn.Identity())
    assert forward.cuda_graphs is graph
    assert forward.items == (None if "lengths" in change else 3 if "microbatches" in change else 8)
    assert graphs.asked == [
        {"dynamic": None if "lengths" in change else False, "mode": "reduce-overhead" if graph else None}
    ]
    said = "the forward pass is compiled" + (", and replayed as a CUDA graph" if graph else "")
    assert state.history.notes == [said]


def test_what_cannot_be_compiled_is_told_and_the_fix_works(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(graph: Any, examples: Any) -> Any:
        raise OSError("no compiler")

    torch._dynamo.reset()
    monkeypatch.setattr(compiling.torch, "compile", lambda module, **options: COMPILE(module, backend=fail))
    bunch = photo_bunch(photos)
    message = (
        r"torch.compile failed with \w+: [\s\S]*\nExpected a model that it can compile[\s\S]*\nFix: leave compile= out"
    )
    with pytest.raises(ModelError, match=message):
        tiny(bunch, frozen=False, compile=True).fit(1, 1e-3)
    torch._dynamo.reset()
    tiny(bunch, frozen=False).fit(1, 1e-3)


def test_an_error_of_the_model_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(compiling.torch, "compile", lambda module, **options: module)
    with pytest.raises(RuntimeError, match="out of memory"):
        CompiledForward(Faulty(), items=2)(torch.ones(2))


def test_fewer_items_at_once_are_compiled_anew(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[nn.Module] = []

    def compile(module: nn.Module, **options: Any) -> nn.Module:
        asked.append(module)
        return module

    def run_out(module: nn.Module, inputs: Any) -> None:
        if module.training and len(inputs[0]) > 4:
            raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(compiling.torch, "compile", compile)
    learner = tiny(photo_bunch(photos), frozen=False, compile=True)
    learner.model.head.register_forward_pre_hook(run_out)  # type: ignore[union-attr]
    with pytest.warns(UserWarning, match="memory ran out"):
        learner.fit(1, 1e-3)
    assert learner.num_microbatches == 2
    assert asked == [learner.model, learner.model]
