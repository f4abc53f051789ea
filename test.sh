#!/usr/bin/env bash
# Builds slope and runs every test: the release build, then the same tests under the address and
# undefined-behaviour sanitizers and, where there is an nvcc, the CUDA backend. Installs what is missing
# first. Full logs are in build/logs. The last line is "N passed, M failed, K skipped".
set -uo pipefail
cd "$(dirname "$0")"

logs=build/logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
skip_reasons=()
jobs=$(nproc)

# run NAME LOG COMMAND...: runs quietly, prints the name, the time and, when it fails, the log's end.
run() {
  local name=$1 log=$logs/$2 start=$SECONDS status=0
  shift 2
  printf '%-34s ' "$name"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status == 0)); then
    printf 'ok      %4d s\n' $((SECONDS - start))
  else
    printf 'FAILED  %4d s   (%s)\n' $((SECONDS - start)) "$log"
  fi
  return "$status"
}

finish() {
  local reason
  for reason in "${skip_reasons[@]}"; do echo "$reason"; done
  printf 'total time %d min %02d s\n' $((SECONDS / 60)) $((SECONDS % 60))
  echo "$passed passed, $failed failed, $skipped skipped"
  ((failed == 0 && passed > 0))
  exit
}

# give_up LOG: a step without which nothing can go on has failed.
give_up() {
  grep -E -A 4 'error:|Error' "$logs/$1" | cut -c 1-300 | head -n 40 || true
  tail -n 5 "$logs/$1" | cut -c 1-300
  failed=$((failed + 1))
  finish
}

# Reads the output of ctest -V and prints "passed failed skipped", then the numbers of the CTest tests
# that failed. A doctest executable prints its own counts (tests/main.cpp); any other test counts as
# one; an executable that failed otherwise (crash, time limit, leak at exit) counts as one failure.
count_tests() {
  awk '
    match($0, /^[0-9]+: slope-tests: /) {
      n = $1 + 0; counted[n] = 1
      split(substr($0, RLENGTH + 1), word, /[ ,]+/)
      p[n] = word[1]; f[n] = word[3]; s[n] = word[5]
    }
    match($0, /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: /) {
      line = $0; sub(/^.*Test +#/, "", line); n = line + 0
      ok = ($0 ~ / Passed +[0-9.]+ sec/); skip = ($0 ~ /\*\*\*Skipped/)
      if (counted[n]) {
        P += p[n]; F += f[n]; S += s[n]
        if (!ok && f[n] == 0) F += 1
      } else if (ok) P += 1
      else if (skip) S += 1
      else F += 1
      if (!ok && !skip) bad = bad " " n
    }
    END { printf "%d %d %d%s\n", P, F, S, bad }' "$1"
}

# run_tests NAME PRESET CTEST_ARGUMENTS...
run_tests() {
  local name=$1 preset=$2 log=test-$2.log reason number counts
  shift 2
  run "$name" "$log" ctest --preset "$preset" -V -j "$jobs" "$@"
  local status=$?
  read -r -a counts < <(count_tests "$logs/$log")
  passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
  printf '%-34s %d passed, %d failed, %d skipped\n' '' "${counts[@]:0:3}"
  if ((status != 0 && counts[1] == 0)) || ((counts[0] + counts[1] == 0)); then
    tail -n 20 "$logs/$log"
    failed=$((failed + 1))
  fi
  for number in "${counts[@]:3}"; do
    grep -E "^$number: " "$logs/$log" | grep -vE '(SKIPPED|slope-tests|Test command|Working Directory|Environment variables|Test timeout|^[0-9]+:  [A-Z_]+=)' |
      sed -E 's/^[0-9]+: /  /' | tail -n 60
    grep -E "Test +#$number: " "$logs/$log"
  done
  while IFS= read -r reason; do skip_reasons+=("$reason ($preset)"); done < <(
    sed -nE 's/^[0-9]+: (SKIPPED: .*)/\1/p' "$logs/$log" | sort -u)
}

# build PRESET
build() {
  local preset=$1
  run "configure $preset" "configure-$preset.log" cmake --preset "$preset" || give_up "configure-$preset.log"
  run "build $preset" "build-$preset.log" cmake --build --preset "$preset" ||
    give_up "build-$preset.log"
}

run "install what is missing" bootstrap.log scripts/bootstrap.sh || give_up bootstrap.log
build release
run_tests "test release" release
build asan
run_tests "test with sanitizers" asan -LE slow

if [[ ! -d backends/cuda ]]; then
  skipped=$((skipped + 1))
  skip_reasons+=("SKIPPED: cuda: this tree has no CUDA backend")
elif ! command -v nvcc >/dev/null && [[ ! -x /usr/local/cuda/bin/nvcc ]]; then
  skipped=$((skipped + 1))
  skip_reasons+=("SKIPPED: cuda: no nvcc on this machine")
else
  build cuda-test
  run_tests "test cuda" cuda-test -L cuda
fi
finish
