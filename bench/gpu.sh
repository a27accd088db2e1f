#!/usr/bin/env bash
# On a machine with a GPU: the test suite (6 minutes), or what bench/gpu.py and bench/core.py measure (8 minutes).
#     bash bench/gpu.sh OUT [tests|measure|all] [WHEELS]
# OUT: folder for logs and results. WHEELS: folder of wheels to install first, where the machine has no index.
set -euo pipefail
out=$(mkdir -p "${1:?a folder for the results}" && cd "$1" && pwd) what=${2:-all} wheels=${3:-}
[ -z "$wheels" ] || wheels=$(cd "$wheels" && pwd)
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
if [ "$what" != measure ]; then
    timeout 360 python3 -m pytest --numprocesses 8 tests/losses tests/metrics tests/inference tests/train tests/vision \
        tests/text tests/ship tests/data tests/test_open_parts.py tests/test_bench_gpu.py 2>&1 | tee "$out/tests.log" || true
fi
if [ "$what" != tests ]; then
    timeout 490 python3 bench/gpu.py --out "$out" 2>&1 | tee "$out/gpu.log"
    timeout 60 python3 bench/core.py 2>&1 | tee "$out/core.log" && cp bench/results/core.json "$out/"
fi
