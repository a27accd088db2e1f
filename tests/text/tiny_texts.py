"""Small reviews, bunches of them, and a small encoder in a folder, for the tests of text learners."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from tokenizers import Tokenizer as Core
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import BertConfig, BertModel

from onecycle.data.bunch import DataBunch
from onecycle.text.text_list import TextList

SUBJECTS = ["film", "story", "plot", "music", "cast", "ending", "hero", "camera"]
GOOD, BAD = ["good", "lovely", "bright", "clever"], ["bad", "boring", "dull", "silly"]
OTHERS = ["the", "was", "and", "so", "really", "very", "a", "of", "it", "with"]


def reviews(count: int = 60, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return texts of 4 to 24 words, every other one with words of praise, and their labels."""
    generator = random.Random(seed)
    texts, labels = [], []
    for number in range(count):
        words = generator.choices(SUBJECTS + OTHERS, k=generator.randint(3, 20))
        for _ in range(1 + len(words) // 6):
            words.insert(generator.randrange(len(words)), generator.choice(BAD if number % 2 else GOOD))
        texts.append(" ".join(words) + ".")
        labels.append("neg" if number % 2 else "pos")
    return texts, labels


def save_encoder(folder: Path, *, layers: int = 2, seed: int = 0) -> Path:
    """Write config, weights and tokenizer of a BERT with random weights, as `save_pretrained` does."""
    core = Core(models.WordPiece(unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=120, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
    )
    core.train_from_iterator(reviews()[0], trainer)
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertModel(
            BertConfig(
                vocab_size=core.get_vocab_size(), hidden_size=16, num_hidden_layers=layers, num_attention_heads=2,
                intermediate_size=32, max_position_embeddings=40,
            )
        )  # fmt: skip
    model.config.save_pretrained(folder)
    safetensors.torch.save_file(model.state_dict(), folder / "model.safetensors", {"format": "pt"})
    core.save(str(folder / "tokenizer.json"))
    return folder


def review_bunch(tokenizer: Any, *, batch_size: int = 8, count: int = 120, **options: Any) -> DataBunch:
    """Return labelled reviews, a fifth of them for validation."""
    texts, labels = reviews(count)
    labelled = TextList.from_texts(texts, labels).split_random(0.2, seed=1).label_from_column("label")
    return labelled.tokenize(tokenizer, **options).databunch(batch_size)


def language_bunch(tokenizer: Any, *, masked: bool = False, batch_size: int = 4, sequence: int = 12) -> DataBunch:
    """Return reviews with their own tokens as labels."""
    split = TextList.from_texts(reviews(80)[0]).split_random(0.2, seed=1)
    return split.label_for_language_model(masked).tokenize(tokenizer, sequence=sequence).databunch(batch_size)


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's weights."""
    return next(model.parameters()).device
