"""The file format of models and checkpoints: tensors as safetensors, everything else as JSON. No pickle, no code.

A zip has exactly two members, one after the other and uncompressed: `model.safetensors` and `config.json`. A folder has
`config.json`, and the weights under a name made of their checksum, `model-0123456789abcdef.safetensors`; bundles of
the first edition call it `model.safetensors`. Loading refuses anything else, so nothing can be smuggled in.
"""

from __future__ import annotations

from onecycle.bundle.layout import CONFIG as CONFIG
from onecycle.bundle.layout import TENSORS as TENSORS
from onecycle.bundle.layout import one_line as one_line
from onecycle.bundle.read import read_bundle as read_bundle
from onecycle.bundle.tensors import differing_tensors as differing_tensors
from onecycle.bundle.write import write_bundle as write_bundle
