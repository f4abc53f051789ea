#include "ode/solver_word.h"

#include <cmath>

#include "core/error.h"
#include "ode/methods.h"
#include "ode/number_text.h"

namespace slope::ode {
namespace {

[[noreturn]] void refuse(const std::string& word, const std::string& reason) {
  throw ValueError(concat("solver ", word, ": ", reason));
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(at, begin)) != std::string::npos; begin = end + 1) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

double number(const std::string& text, const std::string& word, const std::string& what) {
  const auto value = parse_number(text);
  if (!value) {
    refuse(word, concat(what, " must be a number like 0.25, 1e-3 or 1/3, got \"", text, "\"."));
  }
  return *value;
}

double positive(const std::string& text, const std::string& word, const std::string& what) {
  const double value = number(text, word, what);
  if (!(value > 0)) {
    refuse(word, concat(what, " must be positive, got ", number_text(value), "."));
  }
  return value;
}

ControllerOptions parse_controller(const std::string& text, const std::string& word) {
  const std::vector<std::string> parts = split(text, ',');
  const std::string& name = parts.front();
  if (name == "i" && parts.size() == 1) return {};
  if (name == "pi" && parts.size() == 1) return kPiController;
  if (name == "pid" && parts.size() == 4) {
    ControllerOptions options;
    options.proportional = number(parts[1], word, "P of the controller");
    options.integral = number(parts[2], word, "I of the controller");
    options.derivative = number(parts[3], word, "D of the controller");
    return options;
  }
  refuse(word, concat("there is no controller \"", text, "\". Write ~i, ~pi or ~pid,0.4,0.3,0."));
}

std::string controller_text(const ControllerOptions& c) {
  if (c == ControllerOptions{}) return "";
  if (c == kPiController) return "~pi";
  return concat("~pid,", number_text(c.proportional), ",", number_text(c.integral), ",",
                number_text(c.derivative));
}

Stepping parse_fixed(const std::string& text, const std::string& word) {
  if (text.starts_with("h=")) return StepSize{positive(text.substr(2), word, "the step size")};
  const double count = number(text, word, "the number of steps");
  if (count < 1 || count != std::floor(count) || count > 1e8) {
    refuse(word, concat("the number of steps must be a whole number from 1 to 1e8, got ", text,
                        ". For a step size write :h=", text, "."));
  }
  return Steps{static_cast<int64_t>(count)};
}

Adaptive parse_tolerance(const std::string& text, const std::string& word) {
  const std::vector<std::string> parts = split(text, ',');
  if (parts.size() > 2) refuse(word, "at most two tolerances: @RTOL,ATOL.");
  Adaptive adaptive;
  adaptive.rtol = positive(parts[0], word, "rtol");
  adaptive.atol = parts.size() == 2 ? positive(parts[1], word, "atol") : adaptive.rtol;
  return adaptive;
}

}  // namespace

Solver parse_solver(const std::string& word) {
  const size_t tilde = word.find('~');
  const std::string before = word.substr(0, tilde);
  const size_t mark = before.find_first_of(":@");
  const std::vector<std::string> names = split(before.substr(0, mark), ',');

  MethodParameters parameters;
  for (size_t i = 1; i < names.size(); ++i) {
    const size_t equals = names[i].find('=');
    if (equals == std::string::npos) {
      refuse(word, concat("\"", names[i],
                          "\" is not name=value. Steps follow a colon: ", names.front(), ":8."));
    }
    const std::string name = names[i].substr(0, equals);
    parameters.emplace_back(name, number(names[i].substr(equals + 1), word, name));
  }
  if (names.front().empty()) refuse(word, "the name of a method comes first, as in rk4:8.");

  Solver solver{.method = method(names.front(), parameters)};
  if (mark == std::string::npos) {
    if (canonical_method(names.front()).adaptive) solver.stepping = Adaptive{};
  } else if (before[mark] == ':') {
    solver.stepping = parse_fixed(before.substr(mark + 1), word);
  } else {
    solver.stepping = parse_tolerance(before.substr(mark + 1), word);
  }

  auto* adaptive = std::get_if<Adaptive>(&solver.stepping);
  if (adaptive && !solver.method.facts().has_error()) {
    refuse(word, concat(solver.method.name(),
                        " has no error estimate, so it cannot choose its steps. "
                        "Write ",
                        solver.method.name(), ":8, or take dopri5@1e-3."));
  }
  if (tilde != std::string::npos) {
    if (!adaptive) refuse(word, "a controller is for adaptive steps, as in dopri5@1e-3~pi.");
    adaptive->controller = parse_controller(word.substr(tilde + 1), word);
  }
  return solver;
}

std::string solver_word(const Solver& solver) {
  const std::string& name = solver.method.name();
  if (const auto* steps = std::get_if<Steps>(&solver.stepping)) {
    return concat(name, ":", steps->count);
  }
  if (const auto* size = std::get_if<StepSize>(&solver.stepping)) {
    return concat(name, ":h=", number_text(size->size));
  }
  const auto* adaptive = std::get_if<Adaptive>(&solver.stepping);
  if (!adaptive) return name;
  std::string word = concat(name, "@", number_text(adaptive->rtol));
  if (adaptive->atol != adaptive->rtol) word = concat(word, ",", number_text(adaptive->atol));
  return word + controller_text(adaptive->controller);
}

}  // namespace slope::ode
