// The machine's peak: what benchmarks compare themselves with, measured in the same run.
#pragma once

namespace slope::cpu {

// Floating point operations per second (a multiply-add counts as two) on all threads together: a
// loop of independent multiply-adds on registers with the instruction set in use. Takes a few ten
// milliseconds.
double measure_peak_float32();
double measure_peak_float64();

}  // namespace slope::cpu
