// All ops, by family.
#pragma once

#include "core/ops/contract.h"
#include "core/ops/loss.h"
#include "core/ops/movement.h"
#include "core/ops/norm.h"
#include "core/ops/optimizer.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduce.h"
#include "core/ops/solver.h"
#include "core/ops/window.h"
#include "core/random.h"
