#!/usr/bin/env bash
# Everything that only a GPU can show, on one page: the tests of the library with tensors on the
# device, and the time of a few workloads beside what bytes and operations predict for an H100.
#   scripts/gpu_check.sh [FOLDER]       logs go to FOLDER, default build-cuda/check
# Fails where a test fails. Needs nvcc, cuDNN and a GPU with its driver.
set -uo pipefail
cd "$(dirname "$0")/.."

# Before the minutes of a build: is there anything to run it on?
nvidia-smi -L 2>/dev/null | grep -q GPU || { echo "gpu_check: no GPU, or no driver for it: nvidia-smi -L lists none" >&2; exit 1; }
folder=${1:-build-cuda/check}
mkdir -p "$folder"
tests=(test_cuda test_autograd test_nn test_ode)
step() {
  local name=$1 log=$folder/$2
  shift 2
  "$@" >"$log" 2>&1 || { tail -n 5 "$log" >&2; echo "gpu_check: $name failed: $log" >&2; exit 1; }
}
step "configuring" configure.log cmake --preset cuda
step "building" build.log cmake --build --preset cuda --target slope_cli "${tests[@]}"
slope=build-cuda/slope

echo "slope on a GPU, $(git describe --always --dirty), $(date -u +%F)"
"$slope" info devices
if ! SLOPE_TEST_DEVICE=cuda build-cuda/tests/test_autograd -tc=none >"$folder/device.log" 2>&1; then
  echo "gpu_check: $(tail -n 1 "$folder/device.log")" >&2
  exit 1
fi

echo
printf '%-16s %s\n' "tests" "with tensors on the device"
failed=0
for test in "${tests[@]}"; do
  start=$SECONDS
  SLOPE_TEST_DEVICE=cuda "build-cuda/tests/$test" >"$folder/$test.log" 2>&1 || failed=$((failed + 1))
  printf '%-16s %s  (%d s, %s)\n' "$test" \
    "$(sed -n 's/^slope-tests: //p' "$folder/$test.log" | tail -n 1)" $((SECONDS - start)) "$folder/$test.log"
done

# value KEY: a number of the JSON object on stdin
value() { sed -nE "s/.*\"$1\":([-+0-9.e]+).*/\1/p"; }
echo
printf '%-58s %12s %12s %8s %9s %7s\n' "workload" "predicted ms" "measured ms" "ratio" "calls" "reads"
while read -r arguments; do
  # shellcheck disable=SC2086
  line=$("$slope" bench $arguments --device cuda --json 2>>"$folder/bench.log")
  if [[ -z $line ]]; then
    printf '%-58s %s\n' "$arguments" "failed ($folder/bench.log)"
    failed=$((failed + 1))
    continue
  fi
  printf '%s\n' "$line" >>"$folder/bench.json"
  awk -v name="$arguments" -v predicted="$(value h100_predicted_ms <<<"$line")" \
    -v measured="$(value min_ms <<<"$line")" -v calls="$(value calls <<<"$line")" \
    -v reads="$(value host_reads <<<"$line")" \
    'BEGIN { printf "%-58s %12.3f %12.3f %8.2f %9d %7d\n", name, predicted, measured, measured / predicted, calls, reads }'
done <<'WORKLOADS'
train-step --model odenet-mnist --solver rk4:1 --batch 128
train-step --model odenet-mnist --solver rk4:4 --batch 128
train-step --model odenet-mnist --solver dopri5@1e-3 --batch 128
eval-step --model odenet-mnist --solver rk4:4 --batch 128
attack-step --model odenet-mnist --solver rk4:1 --batch 128 --attack pgd,eps=0.3,step=0.01,iterations=40
train-step --model premetanode10 --solver rk2,u=0.5:8 --batch 32
train-step --model preactresnet18 --batch 128
train-step --model spheres-mlp --solver euler:64 --batch 128
WORKLOADS

echo
if ((failed)); then echo "$failed failed"; exit 1; fi
echo "all passed"
