"""One small valid bundle of each kind, with random weights, for the tests that damage and forge them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import onecycle as oc
from onecycle.bundle import write_bundle
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.numbers import Numbers
from onecycle.inference.calibration import Calibration, Familiarity
from onecycle.text.awd_lstm import AwdLstm, Dropouts
from onecycle.text.language_model import LanguageModel
from onecycle.text.language_targets import NextToken
from onecycle.text.model import TextModel
from onecycle.text.texts import Texts
from onecycle.text.tokenizer_training import train_tokenizer
from onecycle.text.transformer import build_encoder
from onecycle.train.built_model import CALIBRATION
from onecycle.train.export import model_to_config
from onecycle.train.packing import pack
from onecycle.vision.heatmaps import HeatmapModel
from onecycle.vision.images import Images
from onecycle.vision.masks import Mask
from onecycle.vision.model import ImageModel
from onecycle.vision.points import Points
from onecycle.vision.segmentation import SegmentationModel
from onecycle.vision.weights import create_backbone

COLOURS = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
BACKBONE = "test_efficientnet"
CARD = {"date": "2025-01-01", "training_items": 3, "metrics": {"accuracy": 0.5}, "notes": []}


class Content(NamedTuple):
    """What a bundle holds."""

    tensors: dict[str, Tensor]
    config: dict[str, Any]

    def write(self, path: Path) -> Path:
        return write_bundle(path, self.tensors, self.config)


def describe(model: nn.Module, modality: Any, target: Any) -> Content:
    """Return what `Learner.export` writes for a model."""
    config = {
        "kind": "model", "onecycle": "0.1.0", "model": model_to_config(model), "target": target.to_config(),
        "modality": modality.to_config(), "modules": {"model": type(model).__module__}, "precision": "fp32",
        "packages": {}, "card": CARD,
    }  # fmt: skip
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return Content(tensors, json.loads(json.dumps(config)))


def photos() -> Content:
    return describe(_image_model(3), Images((32, 32)), Category(("blue", "green", "red")))


def tags() -> Content:
    return describe(_image_model(2), Images((24, 32)), MultiCategory(("haze", "road"), 0.4))


def ages() -> Content:
    return describe(_image_model(1), Images((32, 32)), Numbers(("age",), (30.0,), (9.0,)))


def masks() -> Content:
    model = SegmentationModel("test_efficientnet", 2, **COLOURS)
    return describe(model, Images((32, 32)), Mask(("sky", "road"), (1, 2), (0,), ((0, 0, 0), (1, 2, 3), (4, 5, 6))))


def points() -> Content:
    model = HeatmapModel("test_efficientnet", 2, **COLOURS)
    return describe(model, Images((32, 32)), Points(("left", "right"), (("left", "right"),)))


def texts() -> Content:
    tokenizer = _tokenizer()
    encoder = build_encoder({
        "model_type": "bert", "vocab_size": tokenizer.embedding_rows, "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 20,
    })  # fmt: skip
    model = TextModel(encoder, 2, pad=tokenizer.pad)
    return describe(model, Texts(tokenizer, 16), Category(("neg", "pos")))


def language() -> Content:
    tokenizer = _tokenizer()
    encoder = AwdLstm(tokenizer.embedding_rows, pad=tokenizer.pad, width=4, hidden=6, layers=2, dropouts=Dropouts())
    return describe(LanguageModel(encoder), Texts(tokenizer, 16), NextToken(tokenizer))


def checkpoint() -> Content:
    tensors = {"model.weight": torch.rand(4, 3), "optimizer.0.step": torch.tensor(3.0)}
    return Content(tensors, {"kind": "checkpoint", "onecycle": "0.1.0", "seed": 0, "history": [{"loss": 0.5}] * 20})


MODELS: dict[str, Callable[[], Content]] = {
    made.__name__: made for made in (photos, tags, ages, masks, points, texts, language)
}


def calibrated() -> Content:
    """`photos`, with sets of classes and with training items that every input is unlike."""
    content = photos()
    width = content.tensors["head.0.weight"].shape[0]
    known = Calibration(torch.linspace(0.0, 0.9, 40), Familiarity(torch.eye(8, width).half(), threshold=-1.0))
    content.config["calibration"] = pack(known.state_dict(), CALIBRATION, content.tensors)
    content.config["target"]["temperatures"] = [2.0]
    return content


def _image_model(outputs: int) -> nn.Module:
    backbone = create_backbone(BACKBONE, pretrained=False, num_classes=0)
    return ImageModel(backbone, outputs, hidden=0, name=BACKBONE, **COLOURS)


def _tokenizer() -> oc.Tokenizer:
    return train_tokenizer("words", ["the film was good and the story was bad ."] * 4, min_frequency=1)
