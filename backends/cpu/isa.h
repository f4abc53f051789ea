// Which instruction set the cpu kernels use: found once at run time, so that one binary serves
// every machine.
#pragma once

namespace slope::cpu {

enum class Isa { generic, avx2, avx512 };

// The best set that this processor, the operating system and this build have, lowered to
// SLOPE_MAX_ISA (generic, avx2 or avx512) if that variable is set. Throws ValueError if it holds
// another word.
Isa isa();

const char* name(Isa isa);  // "generic", "avx2", "avx512"

}  // namespace slope::cpu
