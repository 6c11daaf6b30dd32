#pragma once

/// What `poise::math` evaluates in constant expressions, where `<cmath>` may not be called.
#include "poise/core/constant_elementary_functions.hpp"
#include "poise/core/constant_special_functions.hpp"
