// The text of the error that a call throws.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "core/error.h"

namespace slope::test {

// Fails the test when f throws nothing, or anything but an E.
template <typename E, typename F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  FAIL("no error was thrown");
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace slope::test
