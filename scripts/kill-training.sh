#!/usr/bin/env bash
# Kills a training COUNT times (default 100) with SIGKILL at random moments, goes on with it each time,
# and compares what it ends with, weights, best weights and curves, bit for bit, with a run that was
# left alone.
#   scripts/kill-training.sh [COUNT] [SEED]
set -euo pipefail
cd "$(dirname "$0")/.."

count=${1:-100} RANDOM=${2:-1}
slope=$PWD/build/slope
[[ -x $slope ]] || { echo "kill-training: build/slope is missing: cmake --build --preset release" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Checkpoints in the middle of epochs (16 steps each), and all that a run carries from step to step.
steps=$((count * 300))
train=(train spheres-mlp --iterations "$steps" --checkpoint-every 7 --optimizer adam --lr 0.01
  --solver rk4:2 --schedule cosine,warmup=100 --ema 0.99 --quiet)
killed=0 before_first=0 runs=0

# Kills a run, until it comes to its end or there were enough kills; compares it with a whole one.
kill_a_run() {
  local seed=$1 start process moment took longest
  rm -rf whole stopped
  start=$EPOCHREALTIME
  "$slope" "${train[@]}" --seed "$seed" --out whole >/dev/null
  # Microseconds; the moments of the kills lie between 0 and 1.4 times what a part would take.
  took=$((${EPOCHREALTIME/./} - ${start/./}))
  longest=$((took * 14 / (10 * count)))
  echo "left alone: $steps steps in $((took / 1000)) ms; now kills, each after 0 to $((longest / 1000)) ms"
  while ((killed < count)); do
    if [[ -f stopped/config.toml ]]; then
      [[ -f stopped/model.safetensors ]] || before_first=$((before_first + 1))
      "$slope" train --resume stopped --quiet >/dev/null 2>err &
    else
      "$slope" "${train[@]}" --seed "$seed" --out stopped --force >/dev/null 2>err &
    fi
    process=$!
    moment=$(((RANDOM * 32768 + RANDOM) % longest))
    sleep "$(printf '%d.%06d' $((moment / 1000000)) $((moment % 1000000)))"
    if ! kill -KILL "$process" 2>/dev/null; then
      wait "$process" || { cat err >&2; echo "kill-training: a run failed by itself" >&2; exit 1; }
      break
    fi
    wait "$process" 2>/dev/null || true
    killed=$((killed + 1))
  done
  "$slope" train --resume stopped --quiet >/dev/null
  for run in whole stopped; do
    "$slope" export "$run" --layout slope --out "$run.safetensors" --force --quiet >/dev/null
    "$slope" export "$run/best.safetensors" --layout slope --out "$run-best.safetensors" --force --quiet >/dev/null
    cut -d , -f 1,2,4- "$run/metrics.csv" >"$run.csv"  # without the seconds
  done
  if ! { cmp whole.safetensors stopped.safetensors && cmp whole-best.safetensors stopped-best.safetensors &&
    cmp whole.csv stopped.csv; }; then
    echo "kill-training: the runs differ (seed $seed)" >&2
    exit 1
  fi
}

while ((killed < count)); do
  runs=$((runs + 1))
  kill_a_run "$runs"
  echo "$killed of $count kills: the same weights, best weights and curves, bit for bit"
done
echo "$killed kills of $runs runs ($before_first went on before their first checkpoint): the same weights, best weights and curves, bit for bit"
