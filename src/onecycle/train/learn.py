"""Learning from corrections: a new head on cached features of old and judged items, if nothing else got worse.

Trained on the corrected items alone, as lesson 3 has it, a model forgets: it ends with every corrected item right, and
12 to 40 points worse on all others. So the head is fitted anew to all there is (measured in bench/corrections.py).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from onecycle.data.bunch import DataBunch
from onecycle.data.categories import Category, ClassTarget, MultiCategory
from onecycle.data.corrections import Corrections
from onecycle.data.dataset import Dataset
from onecycle.data.judged import Source
from onecycle.data.labels import Labels
from onecycle.data.loader import DataLoader
from onecycle.data.rows import ITEM, LABEL, Rows
from onecycle.errors import DataError, ModelError
from onecycle.inference.evaluation import evaluate
from onecycle.inference.predictor import run_model
from onecycle.train.cached_features import CachedFeatures, Features, compute_features, features_of
from onecycle.train.contradicted import contradicted
from onecycle.train.fine_tuning import unfrozen_lrs
from onecycle.train.fit import fit
from onecycle.train.heads import reset_head
from onecycle.train.judgements import Judgement, Judgements, read_judgements
from onecycle.train.layer_groups import GroupedModel, fine_tuning_of, freeze_to
from onecycle.train.learned import Change, Learned, reason_of
from onecycle.train.randomness import seeded_generators
from onecycle.train.schedule import OneCycle
from onecycle.train.state import TrainState

WEIGHTS = (2, 1)
"""How much a corrected item counts, beside an old or a confirmed one; a lower weight is tried where more gets worse.

A weight of 4 was no better on photos of another camera, and worse for the old items (bench/corrections_weights.py).
"""
ONLY_EPOCHS, ONLY_RATE = 10, 3
"""The lesson's way: epochs on the corrected items alone, and how many times the usual rate."""
SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625)
"""How much of the way from the old weights to the new ones is gone, until the validation set is as right as before."""


Given = Source | str | Path


def learn(state: TrainState, source: Given | Sequence[Given], *, only_corrections: bool, tolerance: float) -> Learned:
    """Learn from what people said; without a gain that can be trusted, the model stays as it is.

    Raises:
        ModelError: The model predicts neither classes nor tags, or its body gives no vectors of features.
        DataError: There is nothing to learn from.
    """
    given = [source] if isinstance(source, str) or not isinstance(source, Sequence) else source
    sources = [Corrections.read(one) if isinstance(one, str | Path) else one for one in given]
    if not 0 <= tolerance <= 100:
        raise ModelError(f"tolerance={tolerance!r}.", "percentage points, 0 to 100.", "pass tolerance=1.0.")
    started = time.perf_counter()
    _check_kind(state)
    judged = read_judgements(sources, state.data)
    learning = Learning(state, judged, tolerance)
    learned = learning.only_corrections() if only_corrections else learning.refit_head()
    if learned.accepted:
        state.fit = state.plan = None
        state.history.notes.append(f"after epoch {len(state.history)}: learned from corrections, {learned.method}")
    return replace(learned, seconds=time.perf_counter() - started)


def _check_kind(state: TrainState) -> None:
    if not isinstance(state.target, ClassTarget) or not isinstance(state.model, GroupedModel):
        raise ModelError(
            f"learn() of {type(state.model).__name__}, which predicts {state.target.kind}.",
            "classes or tags, of a model with a body and a head, as vision_learner and text_learner make.",
            "correct the labels in the data, and train again.",
        )


@dataclass
class Known:
    """Features of all items that there are.

    Attributes:
        old: Of the training and validation items, these with their labels corrected.
        judged: Of the judged items, in the order of `Judgements.items`; encoded labels in `targets`.
    """

    old: CachedFeatures
    judged: Features


class Learning:
    """One round of learning.

    Args:
        state: The model, and the data that it was trained on.
        judgements: What people said.
        tolerance: By how many percentage points the validation set and the held-back answers may fall.
    """

    def __init__(self, state: TrainState, judgements: Judgements, tolerance: float) -> None:
        assert isinstance(state.model, GroupedModel)
        self.state, self.judgements, self.tolerance, self.model = state, judgements, tolerance, state.model
        self.known = Known(old_features(state), judged_features(state, judgements.items, state.model))
        self.valid = _corrected_valid(state, self.known.old.valid, judgements)
        held = torch.tensor([one.held_back for one in judgements.items], dtype=torch.bool)
        corrected = torch.tensor([one.corrected for one in judgements.items], dtype=torch.bool)
        self.stays = self._rows_that_stay()
        self.sets = {"new": held, "corrected": corrected & ~held, "confirmed": ~corrected & ~held}
        self.before = self._right(self.model.head, self.valid, self.known.judged)
        self.doubted: list[str] = []
        self.scores = _scores(state, self.model.head, self.valid)

    def refit_head(self) -> Learned:
        """Fit a new head to the features of old and judged items, with less weight where too much gets worse."""
        self._leave_out_contradicted()
        weights = WEIGHTS if self.sets["corrected"].any() else WEIGHTS[-1:]
        for weight in weights:
            scratch = self._fit_head(weight)
            head = scratch.model.head
            assert isinstance(head, nn.Module)
            changes = self._changes(self._right(head, self.valid, self.known.judged))
            scores = _scores(self.state, head, self.valid)
            if self._passes(changes):
                self.model.head.load_state_dict(head.state_dict())
                record, new = self.state.weights_record, scratch.history[-1]
                if record is not None:
                    self.state.weights_record = replace(record, valid_loss=new.valid_loss, metrics=new.metrics)
                return self._learned(True, f"head refitted, corrected items with weight {weight}", changes, scores)
        return self._learned(False, f"head refitted, with weights {', '.join(map(str, weights))}", changes, scores)

    def only_corrections(self) -> Learned:
        """Train on the corrected items alone, then go back towards the old weights until the old set is right."""
        chosen = [one for one in self.judgements.to_learn() if one.corrected]
        if len(chosen) < 2:
            raise DataError(
                f"{len(chosen)} corrected items to train on alone.", "2 or more: a batch norm needs them.",
                "correct more answers, or leave only_corrections out.",
                shell_fix="correct more answers, or leave --only-corrections out.",
            )  # fmt: skip
        old = self.state.copy_weights()
        new = _trained_alone(self.state, chosen)
        for share in SHARES:
            model = copy.deepcopy(self.model)
            model.load_state_dict({name: _between(old[name], new[name], share) for name in old})
            loader = self.state.data.valid
            valid = _corrected_valid(
                self.state, _some(features_of(model, self.state.data, loader, self.state.precision)), self.judgements
            )
            judged = judged_features(self.state, self.judgements.items, model)
            changes = self._changes(self._right(model.head, valid, judged))
            if changes["old"].lost - changes["old"].won <= self.tolerance / 100 * changes["old"].items:
                break
        method = f"on the corrected items alone, {share:.1%} of the way from the old weights"
        accepted, scores = self._passes(changes), _scores(self.state, model.head, valid)
        if accepted:
            self.state.load_weights(model.state_dict())
            self.state.weights_record = None  # its metrics are of the old weights
        return self._learned(accepted, method, changes, scores, confirmed=False)

    def _fit_head(self, weight: int) -> TrainState:
        """Return the state in which a new head was fitted."""
        old, judged = self.known.old.copies[0], self.known.judged
        first = len(old.known)
        rows = torch.cat([
            self.stays.nonzero().flatten(),
            first + self.sets["corrected"].nonzero().flatten().repeat(weight),
            first + self.sets["confirmed"].nonzero().flatten(),
        ])  # fmt: skip
        inputs, targets = torch.cat([old.inputs, judged.inputs]), torch.cat([old.targets, judged.targets])
        table = Features(inputs[rows], targets[rows], torch.ones(len(rows), dtype=torch.bool), None)
        return _fitted(self.state, self.model, table, self.valid)

    def _rows_that_stay(self) -> Tensor:
        """Return which training items are trained on as they are, bool, (training items,)."""
        gone = {one.row for one in self.judgements.items if one.row is not None} | set(self.judgements.removed)
        stays = self.known.old.copies[0].known.clone()
        stays[torch.tensor(sorted(gone), dtype=torch.int64)] = False
        return stays

    def _leave_out_contradicted(self) -> None:
        """Train on no correction that the others contradict, where they are so many that people were wrong."""
        if not isinstance(self.state.target, Category):
            return
        old, judged, corrected = self.known.old.copies[0], self.known.judged, self.sets["corrected"]
        trained = corrected | self.sets["confirmed"]
        doubted = torch.zeros_like(corrected)
        doubted[trained] = contradicted(
            (old.inputs[self.stays], old.targets[self.stays]), (judged.inputs[trained], judged.targets[trained]),
            corrected[trained], self.state.seed,
        )  # fmt: skip
        self.sets["corrected"] = corrected & ~doubted
        self.before = self._right(self.model.head, self.valid, judged)
        self.doubted = [self.judgements.items[place].item for place in doubted.nonzero().flatten().tolist()]

    def _right(self, head: nn.Module, valid: Features, judged: Features) -> dict[str, Tensor]:
        right = _which_are_right(self.state, head, judged)
        return {
            "old": _which_are_right(self.state, head, valid),
            **{name: right[places] for name, places in self.sets.items()},
        }

    def _changes(self, after: dict[str, Tensor]) -> dict[str, Change]:
        return {name: Change.between(self.before[name], after[name]) for name in after}

    def _passes(self, changes: dict[str, Change]) -> bool:
        return all(changes[name].passes(self.tolerance) for name in ("old", "new"))

    def _learned(
        self,
        accepted: bool,
        method: str,
        changes: dict[str, Change],
        scores: dict[str, float],
        *,
        confirmed: bool = True,
    ) -> Learned:
        names = ("corrected", "confirmed") if confirmed else ("corrected",)
        trained = {name: int(self.sets[name].sum()) for name in names}
        metrics = {name: (self.scores[name], scores[name]) for name in self.scores if name != "valid_loss"}
        judged = self.judgements
        return Learned(
            accepted, method, reason_of(changes["old"], changes["new"], self.tolerance), changes["corrected"],
            changes["new"], changes["old"], metrics, trained, dict(judged.unused), judged.first, judged.last,
            left_out=dict(judged.left_out), used=judged.used(confirmed=confirmed, doubted=self.doubted),
            held_back_own=sum(one.row is not None for one in judged.held_back()), doubted=tuple(self.doubted),
            all_tags=isinstance(self.state.target, MultiCategory),
        )  # fmt: skip


def old_features(state: TrainState) -> CachedFeatures:
    """Return the features of the training and validation items, computed once for as long as the body stays as it is.

    Raises:
        ModelError: They do not fit into memory, or are no vectors.
    """
    if state.cached_features is None:
        assert isinstance(state.model, GroupedModel)
        state.cached_features = compute_features(state.model, state.data, 1, state.precision, state.processes)
    if state.cached_features is None:
        raise ModelError(
            "The features of the training items cannot be kept.", "vectors that fit into a quarter of the free memory.",
            "train on fewer items, or correct the labels in the data and train again.",
        )  # fmt: skip
    return state.cached_features


def judged_features(state: TrainState, items: Sequence[Judgement], model: GroupedModel) -> Features:
    """Return the features of judged items, with their encoded labels, in their order."""
    bunch, training = state.data, state.data.train.dataset.rows
    new = [place for place, one in enumerate(items) if one.row is None]
    own = [place for place, one in enumerate(items) if one.row is not None]
    parts = []
    if new:
        rows = bunch.modality.rows_from([Path(items[place].item) for place in new])
        parts.append((new, rows))
    if own:
        parts.append((own, training.take([items[place].row for place in own])))
    inputs: list[Tensor] = []
    for places, rows in parts:
        labelled = _with_labels(rows, [items[place].label for place in places], bunch)
        inputs.append(_some(features_of(model, bunch, bunch.in_order_of(labelled), state.precision)).inputs)
    order = torch.tensor([place for places, _ in parts for place in places]).argsort()
    encoded = torch.stack([bunch.target.encode(one.label) for one in items])
    return Features(torch.cat(inputs)[order], encoded, torch.ones(len(items), dtype=torch.bool), None)


def _with_labels(rows: Rows, labels: Sequence[Any], bunch: DataBunch) -> Rows:
    plain = rows.table.drop_columns([LABEL]) if LABEL in rows.table.column_names else rows.table
    return replace(rows, table=plain).with_labels(Labels.of(labels, bunch.target.label_type).column)


def _some(features: Features | None) -> Features:
    if features is None:
        raise ModelError(
            "The features of the items are no vectors.", "a body that gives a vector for each item.",
            "correct the labels in the data, and train again.",
        )  # fmt: skip
    return features


def _corrected_valid(state: TrainState, valid: Features, judgements: Judgements) -> Features:
    """Return the validation items with their labels corrected, before and after alike."""
    targets, known = valid.targets.clone(), valid.known.clone()
    for row, label in judgements.valid.items():
        known[row] = known[row] & (label is not None)
        if label is not None:
            targets[row] = state.target.encode(label)
    return Features(valid.inputs, targets, known, valid.geometries)


def _fitted(state: TrainState, model: GroupedModel, train: Features, valid: Features) -> TrainState:
    """Return the state in which a new head was fitted to features, as the frozen stage fits one."""
    bunch = copy.copy(state.data)
    table = pa.table({ITEM: pa.array([""] * len(train.known), pa.string())})
    dataset = Dataset(Rows(table), bunch.modality, bunch.target, training=True)
    weights = None
    if bunch.options.balance == "sampling":
        perfect = bunch.target.to_probabilities(train.targets)
        weights = bunch.target.item_weights([bunch.target.decode(one) for one in perfect])
    bunch.train = DataLoader(
        dataset, batch_size=bunch.batch_size, shuffle=True, seed=bunch.options.seed, weights=weights
    )
    options = replace(
        state.options, callbacks=(), progress=False, mix=None, cache_features=True, checkpoint_activations=False,
        accelerator=state.accelerator,
    )  # fmt: skip
    scratch = TrainState(bunch, HeadAlone(_new_head(model, state.seed), model), options)
    scratch.use_precision(state.precision.mode)
    scratch.seed = state.seed
    scratch.cached_features = CachedFeatures([train], valid, bunch.train, state.device, state.processes)
    fit(scratch, 1, state.frozen_lr or "auto", OneCycle())
    return scratch


class HeadAlone(GroupedModel):
    """A head on features that are there already.

    Args:
        head: The head.
        of: The model that it will be the head of.
    Example:
        >>> HeadAlone(nn.Linear(4, 2), learner.model)(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """

    def __init__(self, head: nn.Module, of: GroupedModel) -> None:
        super().__init__()
        self.body, self.head, self.fine_tuning = nn.Identity(), head.requires_grad_(True), of.fine_tuning


def _new_head(model: GroupedModel, seed: int) -> nn.Module:
    """Return a copy of the head with new random weights, the same for the same seed."""
    head = copy.deepcopy(model.head).cpu()
    with seeded_generators(torch.device("cpu"), seed):
        reset_head(head)
    return head


def _which_are_right(state: TrainState, head: nn.Module, features: Features) -> Tensor:
    """Return which items are predicted as they are labelled, tags all of them, bool, (known items,)."""
    plan = torch.split(torch.arange(len(features.known)), 1024)
    target, right = state.target, list[bool]()
    with torch.inference_mode():
        for output in run_model(head, _placed(features, plan, state), target, state.precision):
            perfect = target.to_probabilities(output.batch.targets)
            pairs = zip(output.predictions, perfect, strict=True)
            right += [target.decode(predicted) == target.decode(one) for predicted, one in pairs]
    return torch.tensor(right, dtype=torch.bool)


def _scores(state: TrainState, head: nn.Module, valid: Features) -> dict[str, float]:
    """Return the loss and the metrics of a head on the validation items as they are labelled now; {} without any."""
    if not valid.known.any():
        return {}
    plan = torch.split(torch.arange(len(valid.known)), 1024)
    with torch.inference_mode():
        outputs = run_model(head, _placed(valid, plan, state), state.target, state.precision)
        return evaluate(outputs, state.target, state.loss, state.metrics)


def _placed(features: Features, plan: Sequence[Tensor], state: TrainState) -> Iterator[Any]:
    return (batch.to(state.device) for batch in features.batches(plan, state.device))


def _trained_alone(state: TrainState, chosen: Sequence[Judgement]) -> dict[str, Tensor]:
    """Return the weights after training on some items alone, the layers that fine-tuning trains, at a higher rate."""
    bunch, model = state.data, copy.deepcopy(state.model)
    new = [one for one in chosen if one.row is None]
    own = [one for one in chosen if one.row is not None]
    parts = []
    if new:
        rows = bunch.modality.rows_from([Path(one.item) for one in new])
        parts.append(_with_labels(rows, [one.label for one in new], bunch))
    if own:
        rows = bunch.train.dataset.rows.take([one.row for one in own])
        parts.append(_with_labels(rows, [one.label for one in own], bunch))
    train = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    labelled = replace(bunch.labelled, train=train)
    alone = DataBunch(labelled, replace(bunch.options, balance=None, cache=None, workers=0)).with_target(bunch.target)
    options = replace(state.options, callbacks=(), progress=False, accelerator=state.accelerator)
    scratch = TrainState(alone, model, options)
    scratch.use_precision(state.precision.mode)
    scratch.seed = state.seed
    freeze_to(model, fine_tuning_of(model).freeze_to)
    lrs = unfrozen_lrs(state.frozen_lr)
    fit(scratch, ONLY_EPOCHS, slice(lrs.start * ONLY_RATE, lrs.stop * ONLY_RATE), OneCycle())
    return scratch.copy_weights()


def _between(old: Tensor, new: Tensor, share: float) -> Tensor:
    return torch.lerp(old, new.to(old), share) if old.is_floating_point() else new
