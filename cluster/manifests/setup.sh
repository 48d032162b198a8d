#!/usr/bin/env bash
# Create .venv with Ray on a machine of the cluster: cluster/manifests/setup.sh
# Ray and Python must have the same version on all machines.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="${PYTHON:-python3}" # 3.11 or newer

[[ -x .venv/bin/python ]] || "$python" -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check install --only-binary :all: -c constraints.txt)
"${pip[@]}" hatchling
"${pip[@]}" --no-build-isolation --editable ".[cluster]"
