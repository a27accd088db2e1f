"""Without the packages of the extra `notebook` there is nothing to collect here."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("nbclient") else ["test_*.py"]
