"""Does the core mean what it says? Gradients in parts against whole batches, and all ways to a prediction. argv: none.

- Gradients: largest relative difference, over all parameters, between a step of one batch and the same items in
  accumulated batches of 11, 5 and 16, or in three microbatches. For comparison, averages of the parts' losses by items.
- Predictions: largest difference of probabilities of the other ways from `predict_all`, in fp32 and bf16. A batch of
  another size is added up in another order, so the difference from fp64 tells how much of it is rounding. And the
  largest relative difference of the loss and the metrics of `validate` between batch sizes 1, 7 and 64.
- Losses of items: one vectorised call against one call an item.
"""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

import onecycle as oc
from common import save
from onecycle.data.batch import Batch
from onecycle.data.plain import TensorTarget
from onecycle.demo import make_patterns
from onecycle.losses import BinaryCrossEntropy, CrossEntropy, Dice, Focal, Loss, SmoothL1, as_loss
from onecycle.metrics import Metric
from onecycle.text.awd_lstm import AwdLstm, Dropouts
from onecycle.text.language_model import LanguageModel
from onecycle.text.token_losses import IGNORE_INDEX, RegularisedTokenLoss, TokenLoss
from onecycle.train.gradients import OptimizerStep

ITEMS, MICROBATCHES, CLASSES = 32, 3, 11
ACCUMULATED = (slice(0, 11), slice(11, 16), slice(16, 32))
PHOTOS_EACH, SIZE, BATCH_SIZES = 12, 64, (1, 7, 64)
ITEM_LOSSES, REPEATS = 512, 5
DEVICE = Accelerator().device
WEIGHTS = [float(number) for number in range(1, CLASSES + 1)]


class Contiguous(TensorTarget):
    """Labels of texts that continue from batch to batch."""

    contiguous: ClassVar[bool] = True


@dataclass
class Case:
    """A loss, a model without batch norms, and the batches of one step or of several that continue one another."""

    name: str
    loss: Any
    model: Callable[[], nn.Module]
    batches: list[tuple[Tensor, Tensor]]
    target: TensorTarget


def cases() -> list[Case]:
    """Return a case for each kind of loss."""
    classes, soft = torch.randint(CLASSES, (ITEMS,)), torch.rand(ITEMS, CLASSES).softmax(1)
    vectors, pictures = torch.randn(ITEMS, 20), torch.randn(ITEMS, 3, 16, 16)
    masks = torch.randint(CLASSES, (ITEMS, 16, 16))
    masks[torch.rand(masks.shape) < torch.rand(ITEMS, 1, 1)] = 255  # another share in each item
    points = torch.rand(ITEMS, 4, 2)
    points[torch.rand(ITEMS, 4) < torch.rand(ITEMS, 1)] = torch.nan
    tokens = torch.randint(50, (ITEMS, 12))
    hidden = tokens.masked_fill(torch.rand(tokens.shape) < torch.rand(ITEMS, 1), IGNORE_INDEX)
    tags = (torch.rand(ITEMS, CLASSES) < 0.2).float()

    def case(name: str, loss: Any, inputs: Tensor, targets: Tensor, model: Callable[[], nn.Module]) -> Case:
        return Case(name, loss, model, [(inputs, targets)], TensorTarget())

    texts = [torch.randint(50, (ITEMS, 13)) for _ in range(3)]
    return [
        case("classes", CrossEntropy(), vectors, classes, dense),
        case('classes, balance="loss"', CrossEntropy(WEIGHTS), vectors, classes, dense),
        case("classes, mixup", CrossEntropy(), vectors, soft, dense),
        case('classes, mixup and balance="loss"', CrossEntropy(WEIGHTS), vectors, soft, dense),
        case("tags with positive weights", BinaryCrossEntropy(WEIGHTS), vectors, tags, dense),
        case("masks with ignored pixels", CrossEntropy(WEIGHTS), pictures, masks, convolution),
        case("masks, cross-entropy + 0.5 Dice + focal", CrossEntropy() + 0.5 * Dice() + Focal(), pictures, masks,
             convolution),
        case("points, some missing", SmoothL1(), vectors, points, lambda: dense(8)),
        case("masked tokens", TokenLoss(), tokens, hidden, token_model),
        case("a function: the mean", F.cross_entropy, vectors, classes, dense),
        case("a function: one loss an item", partial(F.cross_entropy, reduction="none"), vectors, classes, dense),
        case("a module of torch with weights", nn.CrossEntropyLoss(torch.tensor(WEIGHTS)), vectors, classes, dense),
        Case("language model, carried state", RegularisedTokenLoss(), language_model,
             [(text[:, :-1], text[:, 1:]) for text in texts], Contiguous()),
    ]  # fmt: skip


def dense(outputs: int = CLASSES) -> nn.Module:
    return nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, outputs))


def convolution() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, CLASSES, 1))


def token_model() -> nn.Module:
    return nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 50))


def language_model() -> nn.Module:
    return LanguageModel(AwdLstm(50, pad=0, width=8, hidden=12, layers=2, dropouts=Dropouts().scaled(0)))


def gradients(case: Case, *, cut: bool = False, microbatches: int = 1) -> list[Tensor]:
    """Return the gradients of the last step, of one batch, or `cut` into accumulated ones."""
    torch.manual_seed(0)
    model = case.model().train()
    learner = oc.Learner.from_loaders(
        case.batches, case.batches, model, loss=case.loss, target=case.target, metrics=[], progress=False, tf32=False
    )
    learner.state.num_microbatches = microbatches
    step = OptimizerStep(learner.state, model, torch.optim.SGD(model.parameters(), lr=0.0))
    for inputs, targets in case.batches:
        model.zero_grad()
        batch = Batch(inputs, targets, torch.arange(ITEMS)).to(DEVICE)
        step.backward([batch.take(rows) for rows in ACCUMULATED] if cut else [batch])
    return gradients_of(model)


def averaged_gradients(case: Case) -> list[Tensor]:
    """Return what averages of the parts' losses, weighted by items, would give instead."""
    torch.manual_seed(0)
    model, loss = case.model().to(DEVICE).train(), as_loss(case.loss).to(DEVICE)
    inputs, targets = (tensor.to(DEVICE) for tensor in case.batches[-1])
    for rows in ACCUMULATED:
        (loss(model(inputs[rows]), targets[rows]) * len(inputs[rows]) / ITEMS).backward()
    return gradients_of(model)


def gradients_of(model: nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


def difference(some: Sequence[Tensor], whole: Sequence[Tensor]) -> float:
    """Return the largest difference of any number, as a share of the largest number in its tensor."""
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in zip(some, whole, strict=True))


def compare_gradients() -> dict[str, Any]:
    found = {}
    for case in cases():
        whole, carried = gradients(case), len(case.batches) > 1
        found[case.name] = {
            # Accumulated batches of contiguous texts are later chunks of the same texts, and no larger batch.
            "accumulated": None if carried else difference(gradients(case, cut=True), whole),
            "microbatches": difference(gradients(case, microbatches=MICROBATCHES), whole),
            "averaged": None if carried else difference(averaged_gradients(case), whole),
        }
        shown = ", ".join(f"{name} {format_value(value)}" for name, value in found[case.name].items())
        print(f"{case.name:<42}{shown}", flush=True)
    return found


def compare_predictions(photos: Path, mode: str) -> dict[str, Any]:
    """Return the largest differences of probabilities from those of `predict_all`."""
    learner = photo_learner(photos, 16)
    if mode == "bf16":
        learner.to_bf16(force=True)
    learner.fit_one_cycle(1, 5e-3)
    rows = learner.data.valid.dataset.rows
    paths = [rows.locate(name) for name in rows.names()]
    bundle = oc.load_model(learner.export(photos.parent / f"{mode}.onecycle"))
    seen: list[Tensor] = []
    learner.state.metrics = (as_metric(seen),)
    learner.validate()
    predictor, reference = learner.predictor(), learner.predict_all().probabilities
    ways = {
        "validate": seen[0],
        "predict": torch.cat([predictor.probabilities([path]) for path in paths]),
        "predict_many": predictor.probabilities(paths, batch_size=5),
        "tta, no augmentations": learner.tta(augmentations=0).probabilities,
        "bundle, predict": torch.cat([bundle.probabilities([path]) for path in paths]),
        "bundle, predict_many": bundle.probabilities(paths),
    }
    ways["the same in fp64"] = in_fp64(learner)
    found = {name: float((values - reference).abs().max()) for name, values in ways.items()}
    print(
        f"{mode}, bundle in {bundle.precision.mode}: " + ", ".join(f"{n} {v:.1e}" for n, v in found.items()), flush=True
    )
    return {"bundle_precision": bundle.precision.mode, "differences": found}


def in_fp64(learner: oc.Learner) -> Tensor:
    """Return the probabilities of the validation items in 64 bits, which tell how far rounding alone leads."""
    model = copy.deepcopy(learner.model).double().eval()
    outputs = []
    for batch in learner.data.valid.epoch(0):
        inputs = learner.data.modality.prepare(batch.to(DEVICE), learner.target, None).inputs
        with torch.no_grad():
            outputs.append(model(inputs.double()))
    return learner.target.activate(torch.cat(outputs)).cpu()


def as_metric(seen: list[Tensor]) -> Metric:
    """Return a metric that writes down the predictions it is given."""

    def write_down(predictions: Tensor, targets: Tensor) -> float:
        seen.append(predictions.cpu())
        return 0.0

    return oc.metrics.from_function(write_down)


def photo_learner(photos: Path, batch_size: int) -> oc.Learner:
    bunch = oc.ImageList.from_folder(photos).split_random(0.5, stratify="folder").label_from_folder().transform(SIZE)
    return oc.vision_learner(
        bunch.databunch(batch_size, workers=0), metrics=["accuracy", "f1", "auroc"], progress=False
    )


def compare_batch_sizes(photos: Path) -> dict[str, float]:
    """Return the largest relative difference of each number of `validate` between batch sizes."""
    weights = photo_learner(photos, 16).copy_weights()
    found: dict[str, list[float]] = {}
    for batch_size in BATCH_SIZES:
        learner = photo_learner(photos, batch_size)
        learner.load_weights(weights)
        for name, value in learner.validate().items():
            found.setdefault(name, []).append(value)
    differences = {name: (max(values) - min(values)) / max(values) for name, values in found.items()}
    print(
        "batch sizes 1, 7, 64: " + ", ".join(f"{name} {value:.1e}" for name, value in differences.items()), flush=True
    )
    return differences


def time_item_losses() -> dict[str, dict[str, float]]:
    """Return the milliseconds of the losses of 512 items, in one call and one call an item."""
    classes, tags = torch.randint(CLASSES, (ITEM_LOSSES,)), (torch.rand(ITEM_LOSSES, CLASSES) < 0.2).float()
    logits, maps = torch.randn(ITEM_LOSSES, CLASSES), torch.randn(ITEM_LOSSES, CLASSES, 24, 32)
    masks, points = torch.randint(CLASSES, (ITEM_LOSSES, 24, 32)), torch.rand(ITEM_LOSSES, 68, 2)
    losses: dict[str, tuple[Loss, Tensor, Tensor]] = {
        "classes": (CrossEntropy(), logits, classes),
        "tags": (BinaryCrossEntropy(), logits, tags),
        "masks of 24x32": (CrossEntropy(WEIGHTS), maps, masks),
        "68 points": (SmoothL1(), points + 0.1, points),
        "tokens, 64 of 500": (TokenLoss(), torch.randn(ITEM_LOSSES, 64, 500), torch.randint(500, (ITEM_LOSSES, 64))),
    }
    found = {}
    for name, (loss, outputs, targets) in losses.items():
        torch.testing.assert_close(loss.per_item(outputs, targets), Loss.per_item(loss, outputs, targets))
        found[name] = {
            "vectorised_ms": milliseconds(lambda: loss.per_item(outputs, targets)),  # noqa: B023
            "each_ms": milliseconds(lambda: Loss.per_item(loss, outputs, targets)),  # noqa: B023
        }
        print(
            f"{name:<42}{found[name]['vectorised_ms']:.2f} ms, {found[name]['each_ms']:.1f} ms one by one", flush=True
        )
    return found


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median time of a call, after a first one."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def format_value(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def main() -> dict[str, Any]:
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False  # what is compared is computed with all digits
    photos = make_patterns(Path(tempfile.mkdtemp()) / "photos", each=PHOTOS_EACH, pixels=96)
    result = {
        "gradients": compare_gradients(),
        "predictions": {mode: compare_predictions(photos, mode) for mode in ("fp32", "bf16")},
        "batch_sizes": compare_batch_sizes(photos),
        "item_losses": time_item_losses(),
        "items": ITEM_LOSSES,
    }
    save("core", result)
    return result


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning)
    main()
