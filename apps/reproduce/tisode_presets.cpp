#include "apps/reproduce/preset.h"

namespace slope::reproduce {

std::vector<Preset> tisode_presets() { return {}; }

}  // namespace slope::reproduce
