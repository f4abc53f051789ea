#!/usr/bin/env bash
# The tour: installs what is missing, builds slope, trains a neural ODE on the digits in data/, compares
# solvers, attacks it and writes a report.
set -euo pipefail
cd "$(dirname "$0")"

scripts/bootstrap.sh
mkdir -p build/logs
echo "building (log: build/logs/demo-build.log)"
if ! { cmake --preset release && cmake --build --preset release --target slope_cli; } \
  >build/logs/demo-build.log 2>&1; then
  tail -n 40 build/logs/demo-build.log >&2
  exit 1
fi

slope=build/slope
# With --json the result is one line for us; progress for people goes to stderr.
run=$("$slope" train odenet-mnist --data mnist --solver rk4:1 --epochs 3 \
  --lr 0.1 --schedule one-cycle --json |
  sed -nE 's/.*"run": *"([^"]*)".*/\1/p')
[[ -n $run ]] || { echo "demo: the training named no run folder" >&2; exit 1; }

echo
echo "accuracy on the 10,000 test images under other solvers"
"$slope" eval "$run" --solver euler --solver midpoint --solver rk4 --steps 1,2,4
"$slope" eval "$run" --solver euler:8 --solver dopri5@1e-2 --solver dopri5@1e-3
echo
echo "accuracy under attack"
"$slope" attack "$run" --attack fgsm,eps=0.1 --attack fgsm,eps=0.2 --attack fgsm,eps=0.3
echo
echo "report: $PWD/$run/report.html"
