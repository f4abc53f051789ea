// What `slope info data` tells: the data sets, where they were found and whether they are whole;
// and a contact sheet of the augmentations.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "apps/slope/settings.h"

namespace slope::program {

// {"data": [{name, what, options, found, training, test, checksums}], "augmentations": [..]}. Every
// file that is found is read to its end; checksums is "ok", "other" (sound files, but not the
// published ones), "damaged: ..", or empty where there is nothing to check.
nlohmann::ordered_json data_facts(const Settings& settings);
// The same as tables for people.
std::string data_text(const nlohmann::ordered_json& facts);

// A PNG with some training pictures, and in each further row the same ones augmented. data: a word
// for pictures; "": cifar10 where it is found, else mnist. augment: the words of the rows,
// separated by
// "+"; "": a row for each kind.
void write_sheet(const std::string& file, std::string data, const std::string& augment,
                 const Settings& settings);

}  // namespace slope::program
