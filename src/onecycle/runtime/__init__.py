"""Exported models in use, without PyTorch: numpy, Pillow and onnxruntime are all that is imported.

Texts need the package `tokenizers` as well.
"""

from onecycle.runtime.model import Model as Model
from onecycle.runtime.model import load_model as load_model

__all__ = ["Model", "load_model"]
