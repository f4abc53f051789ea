#!/usr/bin/env bash
# Breaks the CUDA backend in ways that compile, one after the other, and shows that the tests on the
# emulated device notice each. Works in a copy of the tree under build-mutation; needs nvcc. The first
# build takes some minutes, each mutation about one.
#   scripts/mutate_cuda.sh [NAME...]       all of them, or those whose names contain a NAME
# Fails where a mutation survives, or no longer finds the text that it changes.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$PWD/build-mutation/tree
mkdir -p "$copy"
git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$copy"   # with their times: only changes are built
cd "$copy"
log=$copy/../log.txt
cmake --preset cuda-test >"$log" 2>&1 || { tail -n 5 "$log" >&2; exit 1; }
echo "building what is to be broken"
cmake --build --preset cuda-test --target test_cuda_emulation >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }

# Only the emulated backend is built again: nvcc would compile every mutation too, for nothing.
cd build-cuda-test
program=tests/test_cuda_emulation
mapfile -t objects < <(ninja -t query "$program" | sed -nE 's/^ +([^|]*cuda_emulation\.dir.*\.o)$/\1/p')
link=$(ninja -t commands "$program" | tail -n 1)
((${#objects[@]} > 10)) || { echo "mutate_cuda: the objects of $program were not found" >&2; exit 1; }
build() { ninja "${objects[@]}" >"$log" 2>&1 && sh -c "$link" >>"$log" 2>&1; }

# Nothing is caught by tests that fail anyway.
OMP_WAIT_POLICY=passive "$program" -tc="cuda*: *" -tce="*gradient" >"$log" 2>&1 ||
  { tail -n 5 "$log" >&2; echo "mutate_cuda: the tests fail before anything is broken: $log" >&2; exit 1; }

survivors=0 tried=0

# mutate NAME FILE PERL TESTS: applies the substitution to FILE, builds, runs TESTS; they must fail.
mutate() {
  local name=$1 file=$2 change=$3 tests=$4 start=$SECONDS verdict
  if ((${#wanted[@]})); then
    local pattern hit=0
    for pattern in "${wanted[@]}"; do [[ $name == *"$pattern"* ]] && hit=1; done
    ((hit)) || return 0
  fi
  tried=$((tried + 1))
  cp "$file" "$file.whole"
  perl -0pi -e "$change" "$file"
  if cmp -s "$file" "$file.whole"; then
    verdict="NOT APPLIED: the text it changes is gone from $file"
    survivors=$((survivors + 1))
  elif ! build; then
    verdict="DOES NOT COMPILE: $(grep -m1 -E 'error' "$log")"
    survivors=$((survivors + 1))
  else
    local status=0
    OMP_WAIT_POLICY=passive timeout 900 "$program" -tc="$tests" -aa=1 >"$log" 2>&1 || status=$?
    if ((status == 0)); then
      verdict="SURVIVES"
      survivors=$((survivors + 1))
    elif ((status == 124)); then
      verdict="NOT DONE in 900 s"
      survivors=$((survivors + 1))
    else
      verdict="caught: $(grep -m1 -aE 'ERROR: AddressSanitizer|(shared memory|barrier|aligned|stream|captur|outside|undefined|NaN|differ|expected|got|threw|CHECK)' "$log" |
        sed -E 's/^[[:space:]]+//' | cut -c 1-100)"
    fi
  fi
  mv "$file.whole" "$file"
  touch "$file"
  printf '%-58s %4d s  %s\n' "$name" $((SECONDS - start)) "$verdict"
}

wanted=("$@")
k=../backends/cuda
mutate "a barrier is missing between writing and reading" $k/reduction.h \
  's/(of_warp\[threadIdx\.x \/ kWarp\] = mine;\n)\s*SLOPE_BARRIER\(\);/$1/' "cuda conformance: value"
mutate "a barrier is missing before memory is used again" $k/reduction.h \
  's/\s*SLOPE_BARRIER\(\);  \/\/ before the next call writes//' "cuda conformance: value"
mutate "some threads return before a barrier" $k/reduction.h \
  's/(double total = rule\.start\(\);\n)(\s*if \(column < columns\) \{)/  if (column >= columns) return;\n$1$2/' \
  "cuda conformance: value"
mutate "a reduction stops one value early" $k/reduction.h \
  's/(i = split \* part \+ threadIdx\.x % width; i < end)/$1 - 1/' "cuda conformance: value"
mutate "a loop over the last values goes one too far" $k/pointwise.cu \
  's/int64_t j = i; j < call\.size/int64_t j = i; j <= call.size/' "cuda conformance: value"
mutate "a grid is rounded down" $k/api.h \
  's/\(items \+ kThreads - 1\) \/ kThreads/items \/ kThreads/' "cuda conformance: value"
mutate "the strides of one tensor stand for another's" $k/strided.h \
  's/coordinate \* strides\[k\]\[axis\]/coordinate * strides[0][axis]/' "cuda conformance: value"
mutate "vector loads whether aligned or not" $k/pointwise.cu \
  's/now\.plain = now\.plain && aligned\(now\.in\[i\]\);//' "cuda conformance: *"
mutate "library calls on the legacy stream" $k/context.cpp \
  's/check\(cublasSetStream\(cublas, stream\), "cuda: cuBLAS"\);//' "cuda conformance: value"
mutate "kernels on another stream" $k/api.h \
  's/config\.stream = at\.stream;/config.stream = nullptr;/' "cuda conformance: value"
mutate "a capture is left open where it fails" $k/cuda.cpp \
  's/if \(cudaStreamEndCapture\(stream, &graph\) == cudaSuccess\) cudaGraphDestroy\(graph\);//' \
  "cuda: a capture that fails*"
mutate "the host waits inside of a captured call" $k/reduce.cu \
  's/(const AxesLoader<T> load\{)/check(cudaStreamSynchronize(at.stream), "sum");\n          $1/' \
  "cuda conformance: plan"
mutate "scratch memory is smaller than what is written" $k/loss.cu \
  's/bytes_of_doubles\(rows \+ row_partials\(1, rows\)\)/bytes_of_doubles(1)/' "cuda conformance: value"
mutate "a result is not written" $k/norm.cu \
  's/(rstds\[blockIdx\.x\] = static_cast<T>\(rstd\);)/if (blockIdx.x > 0) $1/' "cuda conformance: value"
mutate "a matrix product adds to what was there" $k/contract.cu \
  's/\.beta = biased \? 1\.0 : 0\.0/.beta = 1.0/' "cuda conformance: value"
mutate "staging blocks are used again while they are sent" $k/staging.cpp \
  's/check\(cudaEventSynchronize\(block\.sent\), kIn\);[^\n]*//' "cuda: *"
mutate "data is used before it has arrived" $k/staging.cpp \
  's/check\(cudaStreamWaitEvent\(work_, block\.sent\), kIn\);//' "cuda: *"
mutate "data is overwritten before it was taken" $k/staging.cpp \
  's/check\(cudaStreamWaitEvent\(transfers_, block\.taken\), kIn\);//' "cuda: *"

echo "$tried mutations, $((tried - survivors)) caught"
((tried > 0 && survivors == 0))
