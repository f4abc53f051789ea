// Where the tests find the source tree and the program. Functions, not macros on every command
// line: so a compiler cache serves all copies of the tree.
#pragma once

#include <string>

namespace slope::test {

// The top folder of the tree, without a slash at the end.
std::string source_dir();
// The program `slope` of this build.
std::string program();

}  // namespace slope::test
