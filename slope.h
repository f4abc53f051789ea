// Everything slope offers, in one include. Tensors and ops (core), gradients (autograd), layers and
// training (nn), neural ODEs (ode). Data sets need slope::data and their own headers (nn/data/).
#pragma once

#include "autograd/functions.h"
#include "autograd/tape.h"
#include "core/backend.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "core/ops.h"
#include "core/plan.h"
#include "core/random.h"
#include "core/tensor.h"
