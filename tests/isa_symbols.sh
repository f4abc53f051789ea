#!/usr/bin/env bash
# Checks that nothing leaves the namespace of its instruction set. A kernel file is compiled once per
# instruction set; an inline function outside slope::cpu::avx512 that ends up in an AVX-512 object could
# be the copy that the linker keeps for everybody, and the program would crash on a smaller machine.
# usage: isa_symbols.sh LIBRARY_OBJECTS_DIR...   (folders named ..._kernels_ISA.dir)
set -euo pipefail

checked=0 leaks=0
for folder in "$@"; do
  isa=${folder##*_kernels_}
  isa=${isa%.dir}
  while IFS= read -r object; do
    checked=$((checked + 1))
    # Defined global and weak symbols (T D B R V W u), demangled, without those of the namespace.
    while IFS= read -r symbol; do
      echo "$(basename "$object") ($isa): $symbol is defined outside slope::cpu::$isa"
      leaks=$((leaks + 1))
    done < <(nm -C --defined-only "$object" | sed -nE 's/^[0-9a-f]* [TDBRVWu] //p' |
      grep -vE "slope::cpu::$isa::" || true)
  done < <(find "$folder" -name '*.o')
done
if ((checked == 0)); then
  echo "no kernel objects found under: $*"
  exit 1
fi
echo "$checked kernel objects checked"
((leaks == 0)) || {
  echo "Mark such functions always_inline or static, or move them into the namespace SLOPE_ISA."
  exit 1
}
