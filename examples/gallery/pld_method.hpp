#pragma once

#include "experiment.hpp"

namespace pld_gallery {

inline gallery::method const method{
    .slug = "pld",
    .title = "Plackett-Luce distillation",
    .paper = "PLD: A Choice-Theoretic List-Wise Knowledge Distillation, 2025 (arXiv 2506.12542)"};

} // namespace pld_gallery
