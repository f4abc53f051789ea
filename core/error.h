// Errors: every failure that a caller can cause is an exception derived from slope::Error.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace slope {

// Text form: `where: what is wrong: got, expected. Fix.`, then one line `  in <module path>` for
// each module around it.
class Error : public std::exception {
 public:
  explicit Error(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }
  // Modules call this while the error passes through them, innermost first.
  void add_context(const std::string& line) { text_ += "\n  in " + line; }

 private:
  std::string text_;
};

struct ShapeError : Error {
  using Error::Error;
};  // shapes, ranks, axes, sizes
struct DtypeError : Error {
  using Error::Error;
};  // dtypes that differ or are not supported
struct DeviceError : Error {
  using Error::Error;
};  // devices that differ, missing kernels, out of memory
struct ValueError : Error {
  using Error::Error;
};  // a number outside its range, a misuse of an interface
struct PlanError : Error {
  using Error::Error;
};  // what a captured function cannot do
struct SolveError : Error {
  using Error::Error;
};  // an ODE solve that was asked to throw
struct DataError : Error {
  using Error::Error;
};  // files: missing, truncated, malformed
struct InternalError : Error {
  using Error::Error;
};  // our own bug

// Builds a message from anything that can be printed: concat("x axis ", 1, " is ", n).
template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace slope

// For conditions that only a bug in slope can break.
#define SLOPE_ASSERT(condition)                                                                 \
  do {                                                                                          \
    if (!(condition))                                                                           \
      throw ::slope::InternalError(::slope::concat(__FILE__, ":", __LINE__,                     \
                                                   ": internal error: ", #condition,            \
                                                   " does not hold. This is a bug in slope.")); \
  } while (false)
