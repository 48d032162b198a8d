#!/usr/bin/env bash
# Add this machine to a cluster: cluster/manifests/worker.sh HEAD[:PORT] [options of `ray start`]
# Options at the end take precedence. With --block the script stays in the foreground and the node ends with it.
set -euo pipefail
if [[ $# -lt 1 || "$1" == -* ]]; then
  echo "usage: worker.sh HEAD[:PORT] [options of ray start]" >&2
  exit 2
fi
head="$1"
shift
[[ "$head" == *:* ]] || head="$head:6379"

cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH" # jobs run this `python`
export PATH

export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0 RAY_ENABLE_UV_RUN_RUNTIME_ENV=0
unset RAY_ADDRESS
if [[ -z "${RAY_AUTH_TOKEN:-}" && -z "${RAY_AUTH_TOKEN_PATH:-}" && ! -s "$HOME/.ray/auth_token" ]]; then
  echo "no token: copy the head's ~/.ray/auth_token to this machine, or set RAY_AUTH_TOKEN" >&2
  exit 2
fi

# Ray opens its folder (logs, sockets) to all users: it lies in one that only this user can enter.
private="${RAY_TMPDIR:-/tmp/rivals-$UID}"
(umask 077 && mkdir -p "$private")
if [[ ! -O "$private" || -L "$private" ]]; then
  echo "$private belongs to another user: set RAY_TMPDIR to a folder of your own with a short path" >&2
  exit 2
fi
chmod 700 "$private"

exec ray start --address="$head" \
  --temp-dir="$private/ray" \
  --object-manager-port=8076 \
  --node-manager-port=8077 \
  --dashboard-agent-grpc-port=8078 \
  --runtime-env-agent-port=8079 \
  --min-worker-port=10002 --max-worker-port=10999 \
  --metrics-export-port=8080 \
  --dashboard-agent-listen-port=52365 \
  --disable-usage-stats \
  "$@"
