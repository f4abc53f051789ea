#include "backends/cpu/isa.h"

#include <cstdlib>
#include <string>

#include "core/error.h"

namespace slope::cpu {
namespace {

Isa best_isa() {
#ifdef SLOPE_X86
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("fma")) {
    return Isa::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::generic;
}

Isa lowered(Isa best) {
  const char* limit = std::getenv("SLOPE_MAX_ISA");
  if (!limit || !*limit) return best;
  for (const Isa candidate : {Isa::generic, Isa::avx2, Isa::avx512}) {
    if (std::string(limit) == name(candidate)) return candidate < best ? candidate : best;
  }
  throw ValueError(concat("SLOPE_MAX_ISA: unknown instruction set: got \"", limit,
                          "\", expected generic, avx2 or avx512. Unset it to use ", name(best),
                          "."));
}

}  // namespace

Isa isa() {
  static const Isa chosen = lowered(best_isa());
  return chosen;
}

const char* name(Isa isa) {
  switch (isa) {
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    default:
      return "generic";
  }
}

}  // namespace slope::cpu
