// Dtype: what a tensor's values are, and the bridge from that run-time value to a C++ type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"

namespace slope {

enum class Dtype : uint8_t { f32, f64, i32 };

inline size_t size_of(Dtype dtype) { return dtype == Dtype::f64 ? 8 : 4; }
inline bool is_float(Dtype dtype) { return dtype != Dtype::i32; }

inline const char* name(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return "float32";
    case Dtype::f64:
      return "float64";
    case Dtype::i32:
      return "int32";
  }
  return "?";
}
inline std::ostream& operator<<(std::ostream& out, Dtype dtype) { return out << name(dtype); }

template <typename T>
constexpr Dtype dtype_of();
template <>
constexpr Dtype dtype_of<float>() {
  return Dtype::f32;
}
template <>
constexpr Dtype dtype_of<double>() {
  return Dtype::f64;
}
template <>
constexpr Dtype dtype_of<int32_t>() {
  return Dtype::i32;
}

// Calls f.operator()<T>() with T the C++ type of `dtype`. The one place where float types are
// listed:
//   dispatch_float(x.dtype(), [&]<typename T>() { kernel<T>(...); });
template <typename F>
decltype(auto) dispatch_float(Dtype dtype, F&& f) {
  if (dtype == Dtype::f32) return f.template operator()<float>();
  if (dtype == Dtype::f64) return f.template operator()<double>();
  throw DtypeError(concat("expected float32 or float64, got ", name(dtype)));
}
template <typename F>
decltype(auto) dispatch_any(Dtype dtype, F&& f) {
  if (dtype == Dtype::i32) return f.template operator()<int32_t>();
  return dispatch_float(dtype, f);
}

}  // namespace slope
