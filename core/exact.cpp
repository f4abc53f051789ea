#include "core/exact.h"

namespace slope {
namespace {

thread_local bool exact_now = false;

}  // namespace

bool exact_kernels() { return exact_now; }

ExactScope::ExactScope(bool wanted) : before_(exact_now) { exact_now = before_ || wanted; }
ExactScope::~ExactScope() { exact_now = before_; }

}  // namespace slope
