"""The masked-token language model: tied weights, a head that begins as nothing, and what a bundle needs."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tiny_texts import language_bunch, save_encoder
from torch import Tensor, nn

from onecycle.text.learner import language_model_learner
from onecycle.text.masked_model import MaskedModel
from onecycle.text.transformer import random_encoder
from onecycle.train.groups import layer_groups

BERT = {
    "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 20,
}  # fmt: skip


def model() -> MaskedModel:
    torch.manual_seed(0)
    return MaskedModel(random_encoder(BERT), pad=0).eval()


def tokens() -> Tensor:
    return torch.randint(1, 50, (3, 8), generator=torch.Generator().manual_seed(0))


def test_it_scores_every_token_by_the_embeddings_own_weights() -> None:
    one = model()
    assert one(tokens()).shape == (3, 8, 50)
    wide = [name for name, parameter in one.named_parameters() if 50 in parameter.shape]
    assert wide == ["body.encoder.embeddings.word_embeddings.weight", "head.bias"]
    one(tokens()).sum().backward()
    assert one.body.encoder.embeddings.word_embeddings.weight.grad is not None  # type: ignore[union-attr]


def test_layer_groups_hold_every_parameter_once() -> None:
    one = model()
    groups = layer_groups(one)
    assert len(groups) == 4
    assert sorted(name for group in groups for name in group) == sorted(name for name, _ in one.named_parameters())


def test_built_again_from_the_config() -> None:
    one = model()
    again = MaskedModel.from_config(json.loads(json.dumps(one.to_config())))
    again.load_state_dict(one.state_dict())
    torch.testing.assert_close(again.eval()(tokens()), one(tokens()), rtol=0, atol=0)


def test_activations_can_be_recomputed() -> None:
    gradients = []
    for recomputed in (False, True):
        one = model().train()
        for module in one.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        if recomputed:
            one.checkpoint_activations()
        one(tokens()).square().mean().backward()
        gradients.append([parameter.grad for parameter in one.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)


def test_it_learns_which_tokens_were_masked(tmp_path: Path) -> None:
    encoder = save_encoder(tmp_path)
    learner = language_model_learner(language_bunch(encoder, masked=True, sequence=16), encoder, progress=False)
    before = learner.validate()["valid_loss"]
    learner.fine_tune(3, 1e-2)
    assert [record.stage for record in learner.history.epochs] == ["all"] * 3
    assert learner.history[-1].valid_loss < before - 0.5
    assert set(learner.history[-1].metrics) >= {"perplexity"}
