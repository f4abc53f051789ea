#include "apps/reproduce/preset.h"

namespace slope::reproduce {

std::vector<Preset> cifar_presets() { return {}; }

}  // namespace slope::reproduce
