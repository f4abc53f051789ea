#!/usr/bin/env bash
# What the CUDA build holds, without a GPU: the architectures in a program, and the registers, shared
# memory and spills of every kernel for one architecture, as ptxas counts them. Fails where one spills.
#   scripts/cuda_kernels.sh [ARCHITECTURE] [PROGRAM]     default: 90, build-cuda/slope
set -euo pipefail
cd "$(dirname "$0")/.."

architecture=${1:-90} program=${2:-build-cuda/slope}
nvcc=${CUDACXX:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
[[ -x $nvcc ]] || { echo "cuda_kernels: no nvcc on PATH or in /usr/local/cuda/bin; set CUDACXX" >&2; exit 1; }
[[ -f $program ]] || { echo "cuda_kernels: $program is missing: cmake --preset cuda && cmake --build --preset cuda" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The section .nv_fatbin is a row of containers: magic 0xba55ed50, version and header size (16 bits
# each), length (64); in each a row of images: kind (1 PTX, 2 machine code; 16 bits), version, header
# size (32), length (64), 12 bytes, version of the code (32), architecture (32). As 32-bit words:
objcopy -O binary --only-section=.nv_fatbin "$program" "$folder/fatbin" 2>/dev/null
[[ -s $folder/fatbin ]] || { echo "cuda_kernels: $program has no device code" >&2; exit 1; }
echo "device code in $program"
od -v -An -w4 -tu4 "$folder/fatbin" | awk '
  { word[NR - 1] = $1 + 0 }
  END {
    for (at = 0; at < NR;) {
      if (word[at] != 3126193488) { ++at; continue }      # padding between containers
      ++containers
      image = at + int(word[at + 1] / 65536) / 4
      end = image + word[at + 2] / 4
      for (; image < end; image += (word[image + 1] + word[image + 2]) / 4) {
        name = (word[image] % 65536 == 1 ? "PTX " : "code") " for " sprintf("%.1f", word[image + 7] / 10)
        ++images[name]; bytes[name] += word[image + 2]
      }
      at = end
    }
    for (name in images)
      printf "  %s  %4d images  %6.1f MB\n", name, images[name], bytes[name] / 1e6 | "sort"
    close("sort")
    if (!containers) { print "cuda_kernels: no container found" > "/dev/stderr"; exit 1 }
  }'

# Each source once more, for one architecture and thrown away.
for source in backends/cuda/*.cu; do
  "$nvcc" -std=c++20 -O3 -DNDEBUG -I. --fmad=false --expt-relaxed-constexpr -Xptxas=-v -cubin \
    -arch="sm_$architecture" -o "$folder/cubin" "$source" >"$folder/$(basename "$source").txt" 2>&1 ||
    { cat "$folder/$(basename "$source").txt" >&2; exit 1; }
done
echo
echo "kernels for sm_$architecture, as ptxas counts them (the most of all instances)"
(cd "$folder" && awk '
  /Compiling entry function/ { split($0, part, "\x27"); name = part[2] }
  /bytes stack frame/        { stack = $1; stores = $5; loads = $9 }
  /Used [0-9]+ registers/ {
    match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5)
    shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART, RLENGTH) + 0 : 0
    print FILENAME, name, registers, shared, stack + 0, stores + loads
  }' ./*.txt) | sed 's|^\./||; s|\.txt||' | c++filt |
  awk '
    # "file void slope::cuda::(anonymous namespace)::some_kernel<..>(..) registers shared stack spills"
    {
      file = $1; spills = $NF; stack = $(NF - 1); shared = $(NF - 2); registers = $(NF - 3)
      match($0, /[a-z0-9_]+_kernel/); kernel = file "  " substr($0, RSTART, RLENGTH)
      ++instances[kernel]; all += 1
      if (registers > most[kernel]) most[kernel] = registers
      if (shared > memory[kernel]) memory[kernel] = shared
      if (stack > frame[kernel]) frame[kernel] = stack
      spilt[kernel] += spills; total += spills
    }
    END {
      printf "%-46s %9s %9s %9s %9s %9s\n", "source, kernel", "instances", "registers", "shared B", "stack B", "spilt B"
      for (k in instances)
        printf "%-46s %9d %9d %9d %9d %9d\n", k, instances[k], most[k], memory[k], frame[k], spilt[k] | "sort"
      close("sort")
      printf "%d kernels, %d bytes spilt\n", all, total
      exit total > 0 || all == 0
    }'
