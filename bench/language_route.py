"""Does a language model first help its classifier? The same AWD-LSTM, trained as one or not. argv: aclImdb [epochs]."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import onecycle as oc
from common import peak_mb, save
from sentiment import sample

SIZES = {"width": 200, "hidden": 300, "layers": 3}
LABELLED, CLASSIFIER_EPOCHS = 2000, 2


def main(folder: Path, epochs: int = 1) -> dict[str, Any]:
    start = time.perf_counter()
    texts = oc.TextList.from_folder(folder, include=["train"]).split_random(0.05)
    bunch = texts.label_for_language_model().tokenize("words", vocabulary=8000).databunch(32)
    language = oc.language_model_learner(bunch, **SIZES, progress=False)
    untrained = oc.language_model_learner(bunch, **SIZES, progress=False)
    language.fit_one_cycle(epochs, lr=5e-3)
    print(language.history, language.generate("I liked this movie because", words=40, seed=1), sep="\n", flush=True)
    report: dict[str, Any] = {"language_seconds": time.perf_counter() - start, **language.history[-1].metrics}

    few = sample(folder, LABELLED)
    reviews = oc.TextList.from_folder(few).split_by_folder(train="train", valid="test").label_from_folder()
    labelled = reviews.tokenize(bunch.modality.tokenizer, max_length=256).databunch(32)
    for name, encoder in (("with", language), ("without", untrained)):
        start = time.perf_counter()
        learner = oc.text_learner(labelled, encoder=encoder, progress=False)
        learner.fine_tune(CLASSIFIER_EPOCHS)
        print(name, learner.history, sep="\n", flush=True)
        curve = [record.metrics["accuracy"] for record in learner.history]
        report[name] = {"accuracy": curve, "seconds": time.perf_counter() - start}
    result = {**report, **SIZES, "language_epochs": epochs, "labelled": LABELLED, "peak_mb": peak_mb()}
    save("language_route", result)
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
