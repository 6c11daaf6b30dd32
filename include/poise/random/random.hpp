#pragma once

#include "poise/random/address.hpp"
#include "poise/random/continuous.hpp"
#include "poise/random/discrete.hpp"
