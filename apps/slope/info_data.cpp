#include "apps/slope/info_data.h"

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>

#include "apps/slope/augment_word.h"
#include "apps/slope/data_source.h"
#include "apps/slope/output.h"
#include "nn/data/embedded.h"
#include "nn/data/sha256.h"
#include "nn/data/tar.h"

namespace slope::program {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kCifarRecord = 3073;  // bytes

// A file of a data set, by the SHA-256 of its unpacked bytes.
struct KnownFile {
  const char* name;
  const char* sha256;
};
const std::map<std::string, std::vector<KnownFile>>& known_files() {
  static const std::map<std::string, std::vector<KnownFile>> known = {
      {"mnist",
       {{"train-images-idx3-ubyte",
         "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
        {"train-labels-idx1-ubyte",
         "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
        {"t10k-images-idx3-ubyte",
         "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
        {"t10k-labels-idx1-ubyte",
         "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}}},
      {"fashion-mnist",
       {{"train-images-idx3-ubyte",
         "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
        {"train-labels-idx1-ubyte",
         "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
        {"t10k-images-idx3-ubyte",
         "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
        {"t10k-labels-idx1-ubyte",
         "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}}},
      {"cifar10",
       {{"data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"},
        {"data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"},
        {"data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"},
        {"data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"},
        {"data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"},
        {"test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"}}}};
  return known;
}

// What was read of a data set.
struct Examined {
  int64_t training = 0, test = 0;  // samples
  size_t files = 0;
  bool as_published = true;

  std::string verdict(size_t expected) const {
    if (files < expected)
      return concat("damaged: ", expected - files, " of ", expected, " files are missing");
    return as_published ? "ok" : "other";
  }
};

void examine(const std::string& name, const std::string& file, nn::ByteStream& stream,
             Examined* result) {
  const auto& known = known_files().at(name);
  const auto found =
      std::find_if(known.begin(), known.end(), [&](const KnownFile& k) { return file == k.name; });
  if (found == known.end()) return;
  nn::Sha256 sum;
  std::vector<uint8_t> buffer(size_t{1} << 20);
  while (const size_t got = stream.read(buffer)) sum.add(std::span(buffer).first(got));
  ++result->files;
  result->as_published &= sum.finish() == found->sha256;
  const auto bytes = static_cast<int64_t>(stream.offset());
  int64_t& samples =
      file.starts_with("t10k") || file.starts_with("test") ? result->test : result->training;
  if (file.ends_with(".bin")) samples += bytes / static_cast<int64_t>(kCifarRecord);
  if (file.ends_with("idx1-ubyte")) samples += bytes - 8;  // a byte per label after the header
}

// place: a folder, an archive, or empty for what is inside the program.
Examined examine_all(const std::string& name, const fs::path& place) {
  Examined result;
  if (!place.empty() && !fs::is_directory(place)) {
    const auto archive = nn::open_file(place);
    nn::TarReader tar(*archive);
    while (nn::ByteStream* file = tar.next())
      examine(name, fs::path(tar.path()).filename().string(), *file, &result);
    return result;
  }
  for (const KnownFile& k : known_files().at(name)) {
    const std::string inside = concat(name, "/", k.name, ".gz");
    const fs::path path = place.empty() ? fs::path() : idx_file(place, k.name);
    if (!path.empty())
      examine(name, k.name, *nn::open_file(path), &result);
    else if (place.empty())
      examine(name, k.name, *nn::open_bytes(nn::embedded_file(inside), inside), &result);
  }
  return result;
}

Json facts_of(const DataDescription& d, const Settings& settings) {
  Json facts{{"name", d.name}, {"what", d.what}, {"options", d.options}};
  if (!known_files().contains(d.name)) {
    facts["found"] = d.name == "folder" ? "(where you say)" : "(generated)";
    return facts;
  }
  const fs::path place = find_data(d.name, settings.data_dir);
  const bool embedded =
      place.empty() &&
      !nn::embedded_file(concat(d.name, "/", known_files().at(d.name)[0].name, ".gz")).empty();
  facts["found"] = embedded ? "(in the program)" : place.string();
  if (place.empty() && !embedded) return facts;
  if (!settings.quiet && !settings.json) std::cerr << "checking " << d.name << " ..\n";
  try {
    const Examined result = examine_all(d.name, place);
    facts["training"] = result.training;
    facts["test"] = result.test;
    facts["checksums"] = result.verdict(known_files().at(d.name).size());
  } catch (const DataError& error) {
    facts["checksums"] = std::string("damaged: ") + error.what();
  }
  return facts;
}

}  // namespace

Json data_facts(const Settings& settings) {
  Json facts{{"data", Json::array()}, {"augmentations", Json::array()}};
  for (const DataDescription& d : data_list()) facts["data"].push_back(facts_of(d, settings));
  for (const AugmentDescription& a : augment_list())
    facts["augmentations"].push_back({{"name", a.name}, {"what", a.what}, {"options", a.options}});
  return facts;
}

std::string data_text(const Json& facts) {
  const auto text = [](const Json& entry, const char* key) {
    if (!entry.contains(key)) return std::string();
    return entry[key].is_string() ? entry[key].get<std::string>() : entry[key].dump();
  };
  std::vector<std::vector<std::string>> rows{
      {"data", "found in", "training", "test", "checksums", "what"}};
  for (const Json& d : facts["data"]) {
    const std::string options = text(d, "options"), found = text(d, "found");
    rows.push_back({text(d, "name") + (options.empty() ? "" : "," + options),
                    found.empty() ? "- (scripts/download-data.sh " + text(d, "name") + ")" : found,
                    text(d, "training"), text(d, "test"), text(d, "checksums"), text(d, "what")});
  }
  std::vector<std::vector<std::string>> augmentations{{"--augment", "options", "what"}};
  for (const Json& a : facts["augmentations"])
    augmentations.push_back({text(a, "name"), text(a, "options"), text(a, "what")});
  return table_text(rows) + "\n" + table_text(augmentations);
}

}  // namespace slope::program
