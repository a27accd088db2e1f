"""Encoders are built from sizes and options alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from onecycle.errors import ModelError
from onecycle.text.architectures import ARCHITECTURES, allowed_options
from onecycle.text.model import TextModel
from onecycle.text.transformer import build_encoder, load_encoder

TINY = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 64, "embedding_size": 16, "n_layers": 2, "n_heads": 2, "dim": 16, "hidden_dim": 24,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2,
    "input_embedding_size": 16, "output_embedding_size": 16, "intra_bottleneck_size": 16, "head_dim": 8,
    "num_key_value_heads": 2, "attention_window": 8, "block_size": 4, "mask_token_id": 3,
}  # fmt: skip


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_each_kind_is_built_again_from_its_own_config(kind: str) -> None:
    model = TextModel(build_encoder({"model_type": kind, **TINY}), outputs=3, pad=0).eval()
    config = json.loads(json.dumps(model.to_config()))
    with torch.device("meta"):  # as loading does first
        blank = TextModel.from_config(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in blank.state_dict().items()} == shapes
    again = TextModel.from_config(config).eval()
    again.load_state_dict(model.state_dict())
    token_ids = torch.tensor([[5, 6, 7, 8, 9], [9, 8, 7, 0, 0]])
    with torch.no_grad():
        torch.testing.assert_close(again(token_ids), model(token_ids))


def test_what_names_files_code_or_networks_is_left_out() -> None:
    evil = {
        "auto_map": {"AutoModel": "evil/code--model.Model"}, "_name_or_path": "evil/model", "checkpoint_path": "x.pth",
        "backbone": "hf-hub:evil/model", "quantization_config": {"quant_method": "x"}, "trust_remote_code": True,
        "_attn_implementation": "evil/kernel", "attn_implementation": "evil/kernel", "use_timm_backbone": True,
    }  # fmt: skip
    for kind in ARCHITECTURES:
        assert allowed_options({"model_type": kind, **evil}) == {"model_type": kind}


@pytest.mark.parametrize("kind", ["timm_wrapper", "gpt2", "", None, ["bert"]])
def test_other_kinds_are_refused(kind: object) -> None:
    with pytest.raises(ModelError, match=r"The encoder is of the kind .*\nExpected one of: albert, [\s\S]*another"):
        build_encoder({"model_type": kind, "model_args": {"checkpoint_path": "evil.pth"}})


def test_other_kinds_are_not_loaded_from_a_folder_either(tmp_path: Path) -> None:
    config = {"model_type": "timm_wrapper", "architecture": "resnet18", "model_args": {"checkpoint_path": "evil.pth"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="The encoder is of the kind 'timm_wrapper'"):
        load_encoder(tmp_path)


def test_a_type_that_is_none() -> None:
    with pytest.raises(ModelError, match=r"has the type 'system'\.\nExpected one of: float32, float16, bfloat16"):
        build_encoder({"model_type": "bert", **TINY, "dtype": "system"})
    assert next(build_encoder({"model_type": "bert", **TINY, "dtype": "bfloat16"}).parameters()).dtype == torch.bfloat16
