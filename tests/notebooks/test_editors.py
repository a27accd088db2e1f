"""An editor finds nothing to mark in the code of README and docs: pyright, basic."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_code_of_every_page_has_no_type_errors(tmp_path: Path) -> None:
    for page in PAGES:
        if blocks := BLOCK.findall(page.read_text()):
            # Mistakes that a page shows are there to be marked.
            lines = [line for line in "\n".join(blocks).splitlines() if not line.startswith("show_error(")]
            (tmp_path / f"{page.stem.lower()}_page.py").write_text("\n".join(lines))
    options = {"typeCheckingMode": "basic", "extraPaths": [str(ROOT / "src")], "reportMissingModuleSource": False}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(options))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [
        f"{Path(one['file']).name}:{one['range']['start']['line'] + 1}: {one['message']}"
        for one in json.loads(done.stdout)["generalDiagnostics"]
        if one["severity"] == "error"
    ]
    assert found == []
