#pragma once

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>
