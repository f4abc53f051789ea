#!/usr/bin/env bash
# The conformance suite on the emulated CUDA device as a table: how often each op was checked in each
# mode (tests/conformance/conformance.h), threads ascending and descending together; "-" where the op
# does not have the mode. Six minutes; needs nvcc, no GPU. Fails where a check fails or a row is missing.
#   scripts/cuda_conformance.sh
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OMP_WAIT_POLICY=passive
cmake --preset cuda-test >"$folder/log" 2>&1 && cmake --build --preset cuda-test >>"$folder/log" 2>&1 ||
  { tail -n 5 "$folder/log" >&2; exit 1; }
program=build-cuda-test/tests/test_cuda_emulation
SLOPE_CONFORMANCE_TABLE=$folder/gradients "$program" -tc="cuda conformance: *gradient" >"$folder/log.gradients" 2>&1 &
SLOPE_CONFORMANCE_TABLE=$folder/others "$program" -tc="cuda conformance: *" -tce="*gradient" >"$folder/log.others" 2>&1 ||
  { grep -aE "ERROR" "$folder/log.others" | head >&2; exit 1; }
wait $! || { grep -aE "ERROR" "$folder/log.gradients" | head >&2; exit 1; }

sort "$folder/gradients" "$folder/others" | awk '
  { checks[$2, $1] = $3; ops[$2]; modes[$1]; total += $3; ++rows; applied += $3 > 0 }
  END {
    count = split("value decompose gradient second-gradient plan threads", mode)
    printf "%-28s", "op"
    for (i = 1; i <= count; ++i) printf " %15s", mode[i]
    print ""
    for (op in ops) {
      line = sprintf("%-28s", op)
      for (i = 1; i <= count; ++i) {
        if (!((op, mode[i]) in checks)) ++missing
        line = line sprintf(" %15s", checks[op, mode[i]] ? checks[op, mode[i]] : "-")
      }
      print line | "sort"
      ++n
    }
    close("sort")
    printf "%d ops, %d modes, %d pairs of them checked %d times, %d missing\n", n, count, applied, total, missing
    exit missing > 0 || n == 0
  }'
