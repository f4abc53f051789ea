// "Did you mean ...": the known word that is closest to what somebody typed.
#pragma once

#include <string>
#include <vector>

namespace slope {

// Levenshtein's edit distance.
size_t edit_distance(const std::string& a, const std::string& b);
// The first word of `known` that begins with this one (of three letters and more), else the one
// with the least distance, the first of several; "" if there are none.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

}  // namespace slope
