#include "apps/reproduce/preset.h"

namespace slope::reproduce {

std::vector<Preset> sphere_presets() { return {}; }

}  // namespace slope::reproduce
