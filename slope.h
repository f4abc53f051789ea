// Everything slope offers, in one include. Tensors and ops (core), gradients (autograd), layers and
// training (nn), neural ODEs (ode). Data sets need slope::data and their own headers (nn/data/).
#pragma once
