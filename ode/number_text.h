// Numbers as people write them in words and tables: 0.3, 1e-3, 1/3.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace slope::ode {

// The value of "0.3", "1e-3", "-2" or "1/3"; nothing for any other text and for values that are not
// finite.
std::optional<double> parse_number(std::string_view text);

// The text that a person would write and parse_number reads back to the same bits: "0.25", "1e-3",
// and a fraction where the decimals would not end: "1/3".
std::string number_text(double value);

// Six digits, for messages: "0.841234".
std::string rounded_text(double value);

}  // namespace slope::ode
