#include "ode/number_text.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace slope::ode {
namespace {

std::optional<double> parse_decimal(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string shortest(double value, std::chars_format format) {
  char buffer[400];  // the longest double in fixed notation has 325 characters
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value, format);
  std::string text(buffer, result.ptr);
  // "1e-03" is written 1e-3, "1e+05" 1e5.
  const size_t e = text.find('e');
  if (e == std::string::npos) return text;
  size_t digits = e + 2;
  while (digits + 1 < text.size() && text[digits] == '0') ++digits;
  return text.substr(0, e + 1) + (text[e + 1] == '-' ? "-" : "") + text.substr(digits);
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return parse_decimal(text);
  const auto above = parse_decimal(text.substr(0, slash));
  const auto below = parse_decimal(text.substr(slash + 1));
  if (!above || !below || *below == 0 || !std::isfinite(*above / *below)) return std::nullopt;
  return *above / *below;
}

std::string number_text(double value) {
  std::string best = shortest(value, std::chars_format::fixed);
  const std::string scientific = shortest(value, std::chars_format::scientific);
  // 1e-3 is easier to read than 0.001, 2000 than 2e3.
  if (scientific.size() + (std::abs(value) >= 1 ? 3 : 0) < best.size()) best = scientific;
  if (best.size() <= 8) return best;
  for (int below = 2; below <= 999; ++below) {
    const double above = std::round(value * below);
    if (std::abs(above) > 999 || above / below != value) continue;
    const std::string fraction =
        std::to_string(static_cast<int>(above)) + "/" + std::to_string(below);
    if (fraction.size() < best.size()) best = fraction;
    break;  // the first fraction found is in lowest terms
  }
  return best;
}

std::string rounded_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}  // namespace slope::ode
