"""The transformer encoders that may be built, and what a config may say about them.

A bundle's config may come from anyone. Of all the models of transformers, some build others from a file or a hub's name
that their config gives (`timm_wrapper`, `backbone`), and any config may name code (`auto_map`). So an encoder is built
only if its kind is listed here, and of its config only the sizes and options of that kind are used.
"""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from typing import Any

from onecycle.errors import ModelError, suggest

ARCHITECTURES = (
    "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2", "distilbert",
    "electra", "ernie", "eurobert", "ibert", "longformer", "megatron-bert", "mobilebert", "modernbert", "mpnet",
    "nomic_bert", "rembert", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl",
)  # fmt: skip
DTYPES = ("float32", "float16", "bfloat16")

# Options of earlier versions of transformers, which later ones still understand.
_EARLIER = (
    "conv_act", "conv_kernel_size", "global_attn_every_n_layers", "global_rope_theta", "local_rope_theta",
    "norm_rel_ebd", "position_buckets", "position_embedding_type", "rope_scaling", "rope_theta", "share_att_key",
)  # fmt: skip
# Initial weights, which the file's replace, and which take memory that these do not.
_IGNORED = ("sinusoidal_pos_embds",)


def check_architecture(kind: object) -> str:
    """Return the kind of an encoder, `model_type` in its config.

    Raises:
        ModelError: Such encoders are not built.
    """
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise ModelError(
            f"The encoder is of the kind {kind!r}.",
            f"one of: {', '.join(ARCHITECTURES)}.",
            "pass the name of another encoder." + suggest(str(kind), ARCHITECTURES),
        )
    return kind


def allowed_options(config: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an encoder's config that may be used to build it, `model_type` among them.

    Raises:
        ModelError: Its kind is not among `ARCHITECTURES`, or an option is nothing that JSON holds.
    Example:
        >>> allowed_options({"model_type": "bert", "hidden_size": 16, "auto_map": {"AutoModel": "code.Model"}})
        {'model_type': 'bert', 'hidden_size': 16}
    """
    kind = check_architecture(config.get("model_type"))
    names = _option_names(kind)
    options = {name: value for name, value in config.items() if name in names}
    dtype = config.get("dtype", config.get("torch_dtype"))
    if dtype is not None:
        if dtype not in DTYPES:
            raise ModelError(f"The encoder has the type {dtype!r}.", f"one of: {', '.join(DTYPES)}.", "convert it.")
        options["dtype"] = dtype
    return {"model_type": kind, **options}


def _option_names(kind: str) -> frozenset[str]:
    """Return the options that a kind's own config class has, not those that all configs have."""
    from transformers import CONFIG_MAPPING

    cls = CONFIG_MAPPING[kind]
    own = cls.__annotations__ if is_dataclass(cls) else inspect.signature(cls.__init__).parameters
    return frozenset({*own, *_EARLIER}) - {"self", "kwargs", "model_type", *_IGNORED}
