"""Without Chromium, or the packages of the extra `serve`, there is nothing to collect here."""

import importlib.util
import shutil

from browser.chromium import BROWSERS

_THERE = importlib.util.find_spec("uvicorn") and any(map(shutil.which, BROWSERS))
collect_ignore_glob = [] if _THERE else ["test_*.py"]
