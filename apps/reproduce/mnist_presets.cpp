#include "apps/reproduce/preset.h"

namespace slope::reproduce {

std::vector<Preset> mnist_presets() { return {}; }

}  // namespace slope::reproduce
