#pragma once

// What other projects give and nearly every test includes. Not poise itself: a change there would recompile all.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>

#include <Eigen/LU>
#include <Random123/philox.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <xsimd/xsimd.hpp>
#if defined(POISE_PARALLEL_OMP)
#include <thrust/system/omp/execution_policy.h>
#else
#include <thrust/system/tbb/execution_policy.h>
#endif
