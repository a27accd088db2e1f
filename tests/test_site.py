"""The site has every public name, and a page of every guide; `make docs` builds it, and follows its links."""

from __future__ import annotations

import re
from pathlib import Path

import onecycle as oc

DOCS = Path(__file__).parents[1] / "docs"


def test_the_reference_has_every_public_name_once() -> None:
    pages = "\n".join(page.read_text() for page in sorted((DOCS / "reference").glob("*.md")))
    named = re.findall(r"\.\. auto\w+:: onecycle\.(\S+)", pages)
    own = [name.removeprefix("vision.") for name in named]  # oc.augment and oc.biwi are modules of onecycle.vision
    assert {name: own.count(name) for name in oc.__all__ if name != "__version__"} == {
        name: 1 for name in oc.__all__ if name != "__version__"
    }
