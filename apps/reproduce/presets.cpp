#include <algorithm>

#include "apps/reproduce/preset.h"
#include "core/error.h"
#include "core/nearest.h"

namespace slope::reproduce {

const char* name(Scale scale) { return scale == Scale::smoke ? "smoke" : "full"; }

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = [] {
    std::vector<Preset> list;
    for (auto part : {mnist_presets, sphere_presets, tisode_presets, cifar_presets}) {
      std::vector<Preset> more = part();
      std::move(more.begin(), more.end(), std::back_inserter(list));
    }
    return list;
  }();
  return all;
}

const Preset& preset(const std::string& name) {
  std::vector<std::string> names;
  for (const Preset& p : presets()) {
    if (p.name == name) return p;
    names.push_back(p.name);
  }
  throw ValueError(concat("reproduce: there is no preset \"", name, "\". Did you mean ",
                          nearest(name, names), "? `slope reproduce` lists them."));
}

}  // namespace slope::reproduce
