// How each golden case calls slope: the op named in tests/golden/ops.json, by its public function.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "core/ops.h"

namespace slope::test {

using nlohmann::json;

// The inputs and attributes of one case.
struct Case {
  Tensors in;  // float inputs in `dtype`
  json attributes;
  Dtype dtype;

  const Tensor& operator[](size_t i) const { return in[i]; }
  bool has(size_t i) const { return i < in.size(); }
  Tensor optional(size_t i) const { return has(i) ? in[i] : Tensor(); }
  double number(const char* name) const { return attributes.at(name).get<double>(); }
  int64_t integer(const char* name) const { return attributes.at(name).get<int64_t>(); }
  int axis(const char* name = "axis") const { return attributes.at(name).get<int>(); }
  bool flag(const char* name) const { return attributes.at(name).get<bool>(); }
  Shape shape(const char* name) const {
    return Shape(std::span<const int64_t>(attributes.at(name).get<std::vector<int64_t>>()));
  }
  Pair pair(const char* name) const { return attributes.at(name).get<Pair>(); }
  Reduction reduction() const {
    const std::string word = attributes.at("reduction");
    if (word == "mean") return Reduction::mean;
    if (word == "sum") return Reduction::sum;
    if (word == "none") return Reduction::none;
    throw ValueError("golden: no reduction " + word);
  }
};
using Run = std::function<Tensors(const Case&)>;

// By the name of the op.
const std::map<std::string, Run>& runs();

}  // namespace slope::test
