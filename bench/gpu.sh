#!/usr/bin/env bash
# The test suite and the equality numbers on a machine with a GPU, in under 8 minutes.
#     bash bench/gpu.sh OUT [WHEELS]
# OUT: folder for the log and core.json. WHEELS: folder of wheels to install first, where the machine has no index.
set -euo pipefail
out=${1:?a folder for the results} wheels=${2:-}
mkdir -p "$out"
cd "$(dirname "$0")/.."
if [ -n "$wheels" ]; then
    python3 -m pip install --quiet --no-index --no-deps --target "$out/site" "$wheels"/*.whl
    export PYTHONPATH="$out/site:${PYTHONPATH:-}"
fi
export PYTHONPATH="$PWD/src:${PYTHONPATH:-}"
python3 - <<'PYTHON'
import torch

print("torch", torch.__version__, "on", torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
PYTHON
timeout 360 python3 -m pytest --numprocesses 8 tests/losses tests/metrics tests/inference tests/train tests/vision \
    tests/text tests/ship tests/test_open_parts.py 2>&1 | tee "$out/tests.log" || true
timeout 100 python3 bench/core.py 2>&1 | tee "$out/core.log" && cp bench/results/core.json "$out/"
