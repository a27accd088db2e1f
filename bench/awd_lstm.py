"""Training an AWD-LSTM through the learner against a bare loop over `nn.LSTM` of the same size: tokens a second.

Both have the same embedding, layers, tied decoder, optimizer and batches; the bare loop has none of the dropouts, no
regularisation, and no schedule. They run in turn, A B A B ..., with a warm-up before; medians of the ratios.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import onecycle as oc
from common import save
from onecycle.text.language_model_learner import LanguageModelLearner, language_model_learner
from onecycle.text.text_list import TextList
from onecycle.train.events import BatchEnd, EpochStart
from onecycle.train.state import TrainState

STREAMS, SEQUENCE = 32, 72


class Watch(oc.Callback):
    """Times the training steps, validation left out."""

    def __init__(self) -> None:
        self.seconds, self.tokens = 0.0, 0

    def on_epoch_start(self, state: TrainState, event: EpochStart) -> None:
        self.last = time.perf_counter()

    def on_batch_end(self, state: TrainState, event: BatchEnd) -> None:
        now = time.perf_counter()
        self.seconds, self.last = self.seconds + now - self.last, now
        self.tokens += event.batch.inputs.numel()


class Bare(nn.Module):
    """A plain LSTM language model: layers of torch's own, tied weights, the state carried on."""

    def __init__(self, vocabulary: int, width: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        sizes = [width, *[hidden] * (layers - 1), width]
        self.layers = nn.ModuleList(
            nn.LSTM(sizes[number], sizes[number + 1], batch_first=True) for number in range(layers)
        )
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, tokens: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        outputs, after = self.embedding(tokens), []
        for layer, state in zip(self.layers, states, strict=True):
            outputs, (hidden, cell) = layer(outputs, state)
            after.append((hidden.detach(), cell.detach()))
        return F.linear(outputs, self.embedding.weight, self.bias), after


def texts(vocabulary: int, documents: int) -> list[str]:
    """Documents of random words, of which the first are the most frequent."""
    generator = random.Random(0)
    words = [f"w{number}" for number in range(vocabulary)]
    weights = [1 / (number + 1) for number in range(vocabulary)]
    return [" ".join(words), *(" ".join(generator.choices(words, weights, k=200)) for _ in range(documents))]


def learner_of(vocabulary: int, steps: int, sizes: dict[str, int]) -> LanguageModelLearner:
    documents = STREAMS * SEQUENCE * (steps + 2) // 200
    split = TextList.from_texts(texts(vocabulary, documents)).split_by_index([documents - 1, documents])
    labelled = split.label_for_language_model().tokenize("words", min_frequency=1, sequence=SEQUENCE)
    return language_model_learner(labelled.databunch(STREAMS), **sizes, progress=False, metrics=[])


def ours(learner: LanguageModelLearner) -> float:
    watch = Watch()
    learner.callbacks = [watch]
    learner.fit_one_cycle(1, 1e-3)
    return watch.tokens / watch.seconds


def bare(model: Bare, batches: list[Any]) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    states: list[Any] = [None] * len(model.layers)
    tokens, start = 0, time.perf_counter()
    for batch in batches:
        if len(batch) != STREAMS:
            states = [None] * len(model.layers)
        logits, states = model(batch.inputs, states)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        tokens += batch.inputs.numel()
    return tokens / (time.perf_counter() - start)


def compare(vocabulary: int, steps: int, repeats: int, **sizes: int) -> dict[str, Any]:
    learner = learner_of(vocabulary, steps, sizes)
    batches = list(learner.data.train.epoch(0))
    model = Bare(learner.target.outputs, sizes["width"], sizes["hidden"], sizes["layers"])
    ours(learner)
    bare(model, batches)
    pairs = []
    for number in range(repeats):
        gc.collect()
        sides = [("learner", lambda: ours(learner)), ("bare", lambda: bare(model, batches))]
        pairs.append({name: measure() for name, measure in (sides if number % 2 else sides[::-1])})
    ratio = statistics.median(pair["learner"] / pair["bare"] for pair in pairs)
    speed = statistics.median(pair["learner"] for pair in pairs)
    print(f"{vocabulary:,} words, {sizes}: {speed:,.0f} tokens a second, {ratio:.3f} of the bare loop's", flush=True)
    return {"vocabulary": vocabulary, **sizes, "tokens_per_second": speed, "ratio": ratio, "pairs": pairs}


def main(repeats: int = 5) -> dict[str, Any]:
    cases = [
        compare(8_000, 12, repeats, width=200, hidden=400, layers=3),
        compare(8_000, 2, min(repeats, 3), width=400, hidden=1152, layers=3),
    ]
    result = {"cases": cases}
    save("awd_lstm", result)
    return result


if __name__ == "__main__":
    main()
