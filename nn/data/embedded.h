// Data files inside the program itself: a standalone build (SLOPE_EMBED) carries the digits of
// data/mnist, every other build carries none. The function is made by cmake/embed.cmake.
#pragma once

#include <string_view>

namespace slope::nn {

// The bytes of a file by its path under data/, e.g. "mnist/train-images-idx3-ubyte.gz"; empty when
// this build does not carry it.
std::string_view embedded_file(std::string_view name);

}  // namespace slope::nn
