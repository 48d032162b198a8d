#!/usr/bin/env bash
# Make .venv on a machine of the cluster, with Ray: cluster/manifests/setup.sh
# Every machine gets the same versions; Ray and Python must be equal on all of them.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="${PYTHON:-python3}" # 3.11 or newer

[[ -x .venv/bin/python ]] || "$python" -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check install --only-binary :all: -c constraints.txt)
"${pip[@]}" hatchling
"${pip[@]}" --no-build-isolation --editable ".[cluster]"
