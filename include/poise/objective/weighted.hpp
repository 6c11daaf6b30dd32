#pragma once

#include "poise/core/scaled_row.hpp"
#include "poise/pipeline.hpp"

#include <tuple>
#include <utility>

namespace poise::objective {

/// A stage whose losses and gradients a field multiplies, beside others that it does not: `weighted_by<field::length>(
/// penalty::kl_k3{})` counts a divergence as often as its response is long. (`field::weight` multiplies the losses of
/// all stages, `field::surrogate_weight` those of surrogates.) In the same pass; for stages that state `writes_once`.
/// The field comes after what the stage reads.
template <auto Field, pipeline_stage Stage>
    requires(Stage::writes_once)
struct weighted {
    Stage stage{};

    using reads = decltype(poise::detail::joined(typename Stage::reads{}, fields<Field>{}));
    using writes = typename Stage::writes;
    static constexpr bool writes_once = true;

private:
    /// Whether the rows of losses and gradients are; the others may be.
    template <class... Rows>
    static constexpr bool ends_writable = []<std::size_t... Out>(std::index_sequence<Out...>) {
        return (writable_row<std::tuple_element_t<reads::size + Out, std::tuple<Rows...>>> && ...);
    }(std::make_index_sequence<writes::size>{});

public:
    template <row_of_reals... Rows>
        requires(sizeof...(Rows) == reads::size + writes::size && ends_writable<Rows...>)
    constexpr void operator()(Rows... rows) const {
        auto const all = std::tie(rows...);
        auto const factors = std::get<Stage::reads::size>(all);
        [&]<std::size_t... In, std::size_t... Out>(std::index_sequence<In...>, std::index_sequence<Out...>) {
            stage(std::get<In>(all)..., scaled_row(std::get<reads::size + Out>(all), factors)...);
        }(std::make_index_sequence<Stage::reads::size>{}, std::make_index_sequence<writes::size>{});
    }
    constexpr void check_hyperparameters() const {
        if constexpr (requires { stage.check_hyperparameters(); }) stage.check_hyperparameters();
    }
};

template <auto Field, pipeline_stage Stage>
constexpr weighted<Field, Stage> weighted_by(Stage const& stage) {
    return {stage};
}

} // namespace poise::objective
