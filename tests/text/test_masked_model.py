"""The masked language model: tied weights, a head that starts as the identity, and what a bundle needs."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from onecycle.text.language_model_output import DeferredLogits, get_logits
from onecycle.text.masked_model import MaskedModel
from onecycle.text.token_losses import IGNORE_INDEX, TokenLoss
from onecycle.text.transformer import build_encoder
from onecycle.train.layer_groups import layer_groups

BERT = {
    "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 20,
}  # fmt: skip


def make_model() -> MaskedModel:
    torch.manual_seed(0)
    return MaskedModel(build_encoder(BERT), pad=0).eval()


def tokens() -> Tensor:
    return torch.randint(1, 50, (3, 8), generator=torch.Generator().manual_seed(0))


def test_tokens_are_scored_with_the_weights_of_the_embedding() -> None:
    model = make_model()
    assert model(tokens()).shape == (3, 8, 50)
    wide = [name for name, parameter in model.named_parameters() if 50 in parameter.shape]
    assert wide == ["body.encoder.embeddings.word_embeddings.weight", "head.bias"]
    model(tokens()).sum().backward()
    assert model.body.encoder.embeddings.word_embeddings.weight.grad is not None  # type: ignore[union-attr]


def test_the_head_computes_the_tokens_that_count_alone() -> None:
    targets = tokens().masked_fill(torch.arange(8) % 3 > 0, IGNORE_INDEX)
    losses, gradients, computed = [], [], list[torch.Size]()
    for defer in (False, True):
        model = make_model()
        model.defer_logits = defer
        for layer in model.modules():
            layer.training = not isinstance(layer, nn.Dropout)
        handle = model.head.register_forward_pre_hook(lambda _, inputs: computed.append(inputs[0].shape))
        loss = TokenLoss(0.1)(model(tokens()), targets)
        loss.backward()
        handle.remove()
        losses.append(loss.detach())
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
        assert isinstance(model.eval()(tokens()), Tensor)
    assert computed == [(3, 8, 16), (9, 16)]
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)
    nothing = torch.full_like(targets, IGNORE_INDEX)
    assert TokenLoss()(model.train()(tokens()), nothing).tolist() == 0.0


def test_deferred_logits_are_those_of_all_tokens() -> None:
    vectors, layer = torch.randn(2, 3, 4), nn.Linear(4, 5)
    outputs = DeferredLogits(vectors, layer)
    torch.testing.assert_close(get_logits(outputs), layer(vectors))
    torch.testing.assert_close(outputs.at(torch.tensor([5, 0])), layer(vectors)[[1, 0], [2, 0]])
    targets = torch.tensor([[1, IGNORE_INDEX, 2], [0, 3, 4]])
    torch.testing.assert_close(TokenLoss().per_item(outputs, targets), TokenLoss().per_item(layer(vectors), targets))


def test_padding_changes_nothing() -> None:
    model = make_model()
    padded = torch.cat([tokens(), torch.zeros(3, 5, dtype=torch.int64)], 1)
    torch.testing.assert_close(model(padded)[:, :8], model(tokens()), rtol=0, atol=1e-6)


def test_layer_groups_contain_every_parameter_once() -> None:
    model = make_model()
    groups = layer_groups(model)
    assert len(groups) == 4
    assert sorted(name for group in groups for name in group) == sorted(name for name, _ in model.named_parameters())


def test_a_model_is_built_from_its_config() -> None:
    model = make_model()
    again = MaskedModel.from_config(json.loads(json.dumps(model.to_config())))
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again.eval()(tokens()), model(tokens()), rtol=0, atol=0)


def test_recomputed_activations_give_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        model = make_model().train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        if recompute:
            model.checkpoint_activations()
        model(tokens()).square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)
