// What the program prints: its result on stdout, seen through to the end.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace slope::program {

// Prints the result. DataError when stdout does not take it (a full disk).
void print(const std::string& text);
// One object on one line.
void print_json(const nlohmann::ordered_json& json);
// JSON as text. Bytes that are not UTF-8, of a path say, are replaced, not thrown at. indent: -1
// for one line.
std::string json_text(const nlohmann::ordered_json& json, int indent = -1);

// Columns aligned; the first row is the head.
std::string table_text(const std::vector<std::vector<std::string>>& rows);
std::string percent(double fraction);
// A number of six digits; "nan" without a sign, which means nothing.
std::string shown(double value);

}  // namespace slope::program
