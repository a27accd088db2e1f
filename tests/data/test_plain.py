"""Plain PyTorch loaders, and lists of batches, instead of a bunch of the data block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

import onecycle as oc
from onecycle.data.categories import Category
from onecycle.data.plain import LoaderBunch, Tensors, TensorTarget
from onecycle.errors import DataError, ModelError
from onecycle.figure import Picture
from onecycle.train.learner import Learner

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(40, 5, generator=GENERATOR)
CLASSES = (INPUTS.sum(1) > 0).long()
TARGET = Category(("below", "above"))


def batches(size: int, start: int = 0, stop: int = 32) -> list[tuple[Tensor, Tensor]]:
    pairs = zip(INPUTS[start:stop].split(size), CLASSES[start:stop].split(size), strict=True)
    return list(pairs)


def torch_loader(size: int, start: int = 0, stop: int = 32, **options: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(INPUTS[start:stop], CLASSES[start:stop]), size, **options)


def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(5, 2)


def learner_of(train: Any, valid: Any, **options: Any) -> Learner:
    loss = nn.functional.cross_entropy
    return Learner.from_loaders(train, valid, model(), **{"loss": loss, "target": TARGET, "progress": False, **options})


@pytest.mark.parametrize(
    ("train", "valid"),
    [(batches(8), batches(8, 32, 40)), (torch_loader(8), torch_loader(3, 32, 40))],
    ids=["lists of batches", "torch's loaders"],
)
def test_a_learner_trains_validates_and_predicts_on_plain_loaders(train: Any, valid: Any) -> None:
    learner = learner_of(train, valid, metrics=["accuracy"])
    before = learner.validate()
    learner.fit_one_cycle(6, lr=0.1)
    after = learner.validate()
    assert after["valid_loss"] < before["valid_loss"]
    assert after["accuracy"] == pytest.approx(
        (learner.model(INPUTS[32:].to(learner.state.device)).argmax(1).cpu() == CLASSES[32:]).float().mean().item()
    )
    assert len(learner.history) == 6
    table = learner.predict_all().table
    assert table["item"].to_pylist() == [f"item {number}" for number in range(8)]
    assert set(table["prediction"].to_pylist()) <= set(TARGET.classes)
    assert "label" not in table.column_names
    predictions = learner.predictor().predict_many(list(INPUTS[32:].numpy()))
    assert [one.label for one in predictions] == table["prediction"].to_pylist()


def test_the_result_is_that_of_a_plain_loop() -> None:
    learner = learner_of(batches(8), batches(8, 32, 40), optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1))
    learner.fit(2, lr=0.1)
    expected = model()
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        for inputs, targets in batches(8):
            loss = nn.functional.cross_entropy(expected(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            # The learner's default weight decay, which is that of each parameter group.
            optimizer.param_groups[0]["weight_decay"] = 0.0
            optimizer.step()
            losses.append(loss.item())
    assert learner.history[0].train_loss == pytest.approx(sum(losses[:4]) / 4, rel=1e-3)
    valid = nn.functional.cross_entropy(expected(INPUTS[32:]), CLASSES[32:]).item()
    assert learner.history[1].valid_loss == pytest.approx(valid, rel=1e-2)


def test_without_a_target_outputs_are_the_predictions() -> None:
    learner = Learner.from_loaders(
        [(INPUTS[:8], INPUTS[:8, :2]), (INPUTS[8:16], INPUTS[8:16, :2])], [(INPUTS[32:], INPUTS[32:, :2])],
        model(), loss=nn.MSELoss(), metrics=[lambda p, t: (p - t).abs().max()], progress=False,
    )  # fmt: skip
    learner.fit(1, lr=1e-2)
    outputs = learner.model(INPUTS[32:].to(learner.state.device))
    torch.testing.assert_close(torch.tensor(learner.predict_all().table["prediction"].to_pylist()), outputs.cpu())
    assert learner.target == TensorTarget()
    assert learner.validate()["metric"] == pytest.approx((outputs.cpu() - INPUTS[32:, :2]).abs().max().item())


def test_the_sampler_of_several_processes_gets_the_epoch() -> None:
    sampler: DistributedSampler[Any] = DistributedSampler(range(8), num_replicas=2, rank=0, shuffle=True)
    loader: Any = DataLoader(TensorDataset(INPUTS[:8], CLASSES[:8]), 2, sampler=sampler)
    bunch = LoaderBunch(loader, batches(8, 32, 40), TARGET)
    list(bunch.train.epoch(3))
    assert sampler.epoch == 3


@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_an_epoch_may_start_at_any_batch(start: int) -> None:
    loader = LoaderBunch(torch_loader(8), batches(8, 32, 40), TARGET).train
    whole, rest = list(loader.epoch(0)), list(loader.epoch(0, start=start))
    assert [batch.index.tolist() for batch in rest] == [batch.index.tolist() for batch in whole[start:]]
    assert all(torch.equal(one.inputs, other.inputs) for one, other in zip(rest, whole[start:], strict=True))
    assert len(loader.dataset) == 32


def test_a_bunch_of_loaders_knows_what_it_can() -> None:
    bunch = LoaderBunch(torch_loader(6), torch_loader(8, 32, 40), TARGET)
    assert (bunch.batch_size, bunch.classes, bunch.test, bunch.random_access) == (6, TARGET.classes, None, False)
    assert repr(bunch) == "LoaderBunch: 6 training batches, 1 validation batches"
    assert bunch.loader("valid") is bunch.valid
    assert [batch.index.tolist() for batch in bunch.train.epoch(0)][-2:] == [[24, 25, 26, 27, 28, 29], [30, 31]]
    assert bunch.modality == Tensors()
    assert (len(bunch.train.dataset), len(bunch.valid.dataset)) == (32, 8)


def test_any_items_are_read_in_the_order_asked_for() -> None:
    bunch = LoaderBunch(batches(8), batches(3, 32, 40), TARGET)
    batch = bunch.read(bunch.valid.dataset, [7, 0, 4])
    assert torch.equal(batch.inputs, INPUTS[[39, 32, 36]])
    assert torch.equal(batch.targets, CLASSES[[39, 32, 36]])
    assert batch.index.tolist() == [7, 0, 4]


def test_a_loader_without_a_length_is_refused() -> None:
    with pytest.raises(DataError) as error:
        LoaderBunch((pair for pair in batches(8)), batches(8), TARGET)
    assert str(error.value) == (
        "The train loader, a generator, can be iterated only once.\n"
        "Expected a loader with a length that can be iterated every epoch, such as torch.utils.data.DataLoader.\n"
        "Fix: pass a DataLoader, or a list of batches."
    )


@pytest.mark.parametrize("name", ["train", "valid"])
def test_an_empty_loader_is_refused(name: str) -> None:
    loaders: dict[str, Any] = {"train": batches(8), "valid": batches(8), name: []}
    with pytest.raises(DataError) as error:
        LoaderBunch(**loaders, target=TARGET)
    assert str(error.value) == (
        f"The {name} loader has no batches.\nExpected one batch or more.\nFix: check its dataset."
    )


@pytest.mark.parametrize("name", ["train", "valid"])
@pytest.mark.parametrize(
    ("batch", "received"),
    [(INPUTS[:4], "a Tensor"), ((INPUTS[:4],), "a tuple of 1"), ({"inputs": INPUTS[:4]}, "a dict")],
)
def test_a_loader_that_gives_no_pairs_is_refused_at_once(name: str, batch: Any, received: str) -> None:
    loaders: dict[str, Any] = {"train": batches(8), "valid": batches(8), name: [batch]}
    with pytest.raises(DataError) as error:
        LoaderBunch(**loaders, target=TARGET)
    assert str(error.value) == (
        f"The {name} loader gave {received}.\nExpected batches of (inputs, targets).\n"
        "Fix: wrap the loader so that it yields pairs."
    )


def test_what_needs_single_items_is_refused(photos: Path) -> None:
    learner = learner_of(batches(8), batches(8, 32, 40))
    with pytest.raises(DataError, match=r"Plain loaders have a batch size of their own\."):
        learner.data.with_batch_size(4)
    with pytest.raises(DataError, match=r"Plain loaders cannot read new items\.\nExpected \"train\" or \"valid\"\."):
        learner.predict_all(oc.ImageList.from_folder(photos))
    calls: dict[str, tuple[Any, ...]] = {
        "resize": (8,), "train_as": (Tensors(),), "show_augmentations": (), "explain": (), "check": (),
    }  # fmt: skip
    for name, arguments in calls.items():
        with pytest.raises(DataError, match=rf"{name}\(\) needs single items, and plain loaders give batches\."):
            getattr(learner.data, name)(*arguments)
    with pytest.raises(DataError, match=r"This bunch has no split 'test'"):
        learner.validate("test")


def test_results_and_batches_are_shown() -> None:
    learner = learner_of(batches(8), batches(8, 32, 40))
    assert isinstance(learner.show_results(4), Picture)
    shown = learner.data.show_batch(3, split="valid")
    assert isinstance(shown, Picture)
    labels = [TARGET.classes[label] for label in CLASSES[32:35].tolist()]
    assert [axes.get_title() for axes in shown.axes if axes.get_title()] == labels
    assert "LoaderBunch" in repr(learner)


def test_the_learning_rate_is_found_and_memory_is_measured() -> None:
    learner = learner_of(batches(8), batches(8, 32, 40))
    learner.fit(1)
    assert learner.lr_finder_results[0].lr > 0
    assert learner.memory_report().parameters > 0


def test_training_goes_on_after_loading(tmp_path: Path) -> None:
    learner = learner_of(batches(8), batches(8, 32, 40))
    learner.fit(1, lr=1e-2)
    path = learner.save(tmp_path / "run.ckpt")
    again = learner_of(batches(8), batches(8, 32, 40))
    again.load(path)
    assert again.validate() == learner.validate()


def test_a_plain_model_is_exported_once_it_is_registered(tmp_path: Path) -> None:
    learner = learner_of(batches(8), batches(8, 32, 40))
    with pytest.raises(ModelError, match=r"A Linear is not registered"):
        learner.export(tmp_path / "x.onecycle")
    registered = Learner.from_loaders(
        batches(8), batches(8, 32, 40), Plain(), loss=nn.functional.cross_entropy, target=TARGET, progress=False
    )
    registered.fit(1, lr=1e-2)
    loaded = oc.load_model(registered.export(tmp_path / "x.onecycle"))
    assert loaded.predict(INPUTS[0]).probabilities == pytest.approx(
        registered.predict(INPUTS[0]).probabilities, abs=1e-6
    )
    assert loaded.card["training_items"] == 32
    assert loaded.card["validation_items"] == 8


@oc.register("model", "plain_model_of_test_plain")
class Plain(nn.Linear):
    def __init__(self) -> None:
        super().__init__(5, 2)
