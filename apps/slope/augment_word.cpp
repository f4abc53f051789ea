#include "apps/slope/augment_word.h"

#include <cmath>

#include "core/nearest.h"
#include "core/word.h"
#include "ode/number_text.h"

namespace slope::program {
namespace {

// Sets `value` if the option is given.
void take(Word& word, const char* option, double* value) {
  const auto text = word.take(option);
  if (!text) return;
  const std::optional<double> number = ode::parse_number(*text);
  if (!number)
    throw ValueError(concat("augment: ", option, " in ", word.text(), " is not a number."));
  *value = *number;
}
void take(Word& word, const char* option, int64_t* value) {
  auto number = static_cast<double>(*value);
  take(word, option, &number);
  if (!(std::fabs(number) < 1e6) || number != std::floor(number))
    throw ValueError(concat("augment: ", option, " in ", word.text(), " is not a whole number."));
  *value = static_cast<int64_t>(number);
}

nn::Augmentation parse_one(const std::string& text) {
  Word word("augment", text);
  const std::string& name = word.name();
  for (const AugmentDescription& d : augment_list()) {
    if (d.name != name) continue;
    nn::Augmentation result;
    if (name == "crop") {
      nn::RandomCrop o;
      take(word, "padding", &o.padding);
      const std::string fill = word.take("fill").value_or("black");
      if (fill != "black" && fill != "reflect")
        throw ValueError(concat("augment: fill in ", text, " must be black or reflect."));
      o.reflect = fill == "reflect";
      result = o;
    } else if (name == "flip") {
      nn::RandomFlip o;
      take(word, "p", &o.p);
      result = o;
    } else if (name == "rotate") {
      nn::RandomRotation o;
      take(word, "degrees", &o.degrees);
      result = o;
    } else if (name == "jitter") {
      nn::ColorJitter o;
      if (word.options().empty()) o = {.brightness = 0.2, .contrast = 0.2};
      take(word, "brightness", &o.brightness);
      take(word, "contrast", &o.contrast);
      take(word, "saturation", &o.saturation);
      take(word, "hue", &o.hue);
      result = o;
    } else if (name == "noise") {
      nn::RandomNoise o;
      take(word, "sigma", &o.sigma);
      take(word, "p", &o.p);
      result = o;
    } else {
      nn::Cutout o;
      take(word, "size", &o.size);
      take(word, "p", &o.p);
      result = o;
    }
    word.expect_empty(d.options);
    return result;
  }
  std::vector<std::string> names;
  for (const AugmentDescription& d : augment_list()) names.push_back(d.name);
  throw ValueError(concat("augment: there is no ", name, ". Did you mean ", nearest(name, names),
                          "? All of them: slope info data."));
}

}  // namespace

const std::vector<AugmentDescription>& augment_list() {
  static const std::vector<AugmentDescription> list = {
      {"crop", "pads each side and cuts the old size out again, anywhere",
       "padding=4, fill=black|reflect"},
      {"flip", "left becomes right", "p=0.5"},
      {"rotate", "turns by up to so many degrees either way", "degrees=10"},
      {"jitter",
       "colours: factors up to 1 +- x, hue as a part of the colour circle; bare: "
       "brightness and contrast 0.2",
       "brightness=0, contrast=0, saturation=0, hue=0"},
      {"noise", "Gaussian noise on every value", "sigma=0.1, p=0.5"},
      {"cutout", "a black square", "size=8, p=1"}};
  return list;
}

std::vector<nn::Augmentation> parse_augment(const std::string& words) {
  std::vector<nn::Augmentation> list;
  std::string one;
  // A part without "=" starts the next augmentation.
  for (size_t begin = 0; begin < words.size();) {
    const size_t end = std::min(words.find(',', begin), words.size());
    const std::string part = words.substr(begin, end - begin);
    if (part.find('=') == std::string::npos && !one.empty()) {
      list.push_back(parse_one(one));
      one.clear();
    }
    one += (one.empty() ? "" : ",") + part;
    begin = end + 1;
  }
  if (!one.empty()) list.push_back(parse_one(one));
  return list;
}

}  // namespace slope::program
