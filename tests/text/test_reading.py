"""What training, bundles and exported files share: from a text to token ids, and to a batch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from onecycle.text.reading import pad_token_ids


def test_texts_are_padded_to_the_longest() -> None:
    padded = pad_token_ids([np.array([5, 6, 7], np.int32), np.array([8], np.int32)], pad=1)
    assert (padded.tolist(), padded.dtype) == ([[5, 6, 7], [8, 1, 1]], np.int64)


def test_neither_torch_nor_pyarrow_is_imported() -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(['torch', 'pyarrow', 'transformers', 'rich'])\n"
        "import onecycle.text.reading, onecycle.vision.decode, onecycle.vision.mask_restoring, onecycle.data.decoding"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
