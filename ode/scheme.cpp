#include "ode/scheme.h"

#include "core/error.h"
#include "ode/explicit_scheme.h"
#include "ode/implicit_scheme.h"

namespace slope::ode {

Tensors Scheme::reverse(const StepInput&) const {
  throw ValueError(concat("solve: ", facts_.name, " cannot be run backwards step by step."));
}

Method::Method(Tableau tableau) {
  if (tableau.implicit()) {
    scheme_ = std::make_shared<ImplicitScheme>(std::move(tableau));
  } else {
    scheme_ = std::make_shared<ExplicitScheme>(std::move(tableau));
  }
}

}  // namespace slope::ode
