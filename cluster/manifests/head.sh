#!/usr/bin/env bash
# Start the head node of a cluster on this machine: cluster/manifests/head.sh [options of `ray start`]
# Options at the end take precedence, as in `--port=6380 --num-cpus=4`. With --block the script stays in the foreground
# and the node ends with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH" # jobs run this `python`
export PATH

export RAY_AUTH_MODE=token # access needs the token
export RAY_USAGE_STATS_ENABLED=0 RAY_ENABLE_UV_RUN_RUNTIME_ENV=0
unset RAY_ADDRESS

# The token comes from RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token, which is created if it does not exist.
if [[ -z "${RAY_AUTH_TOKEN:-}" && -z "${RAY_AUTH_TOKEN_PATH:-}" && ! -s "$HOME/.ray/auth_token" ]]; then
  (umask 077 && ray get-auth-token --generate >/dev/null)
  echo "made a token in $HOME/.ray/auth_token: copy it to the other machines" >&2
fi

# Ray opens its folder (logs, sockets) to all users: it lies in one that only this user can enter.
private="${RAY_TMPDIR:-/tmp/rivals-$UID}"
(umask 077 && mkdir -p "$private")
if [[ ! -O "$private" || -L "$private" ]]; then
  echo "$private belongs to another user: set RAY_TMPDIR to a folder of your own with a short path" >&2
  exit 2
fi
chmod 700 "$private"

# All ports have fixed numbers. Open to the other machines of the cluster: 6379, 8076, 8077, 8078, 8080, 10002-10999. The
# others are for this machine, but Ray binds some of them to all interfaces (cluster/GUIDE.md): a firewall must close them.
# The dashboard listens on 127.0.0.1. Nothing here uses the server of the Ray client, 10001, which has no switch.
export AUTOSCALER_METRIC_PORT=44217 DASHBOARD_METRIC_PORT=44227
exec ray start --head \
  --temp-dir="$private/ray" \
  --port=6379 \
  --object-manager-port=8076 \
  --node-manager-port=8077 \
  --dashboard-agent-grpc-port=8078 \
  --runtime-env-agent-port=8079 \
  --min-worker-port=10002 --max-worker-port=10999 \
  --metrics-export-port=8080 \
  --ray-client-server-port=10001 \
  --dashboard-host=127.0.0.1 --dashboard-port=8265 \
  --dashboard-agent-listen-port=52365 \
  --disable-usage-stats \
  "$@"
