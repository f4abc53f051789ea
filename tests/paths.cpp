#include "tests/paths.h"

namespace slope::test {

std::string source_dir() { return SLOPE_SOURCE_DIR; }
std::string program() { return SLOPE_PROGRAM; }

}  // namespace slope::test
