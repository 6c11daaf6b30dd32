// expect: mlp: a layer's outputs are not as many as the next layer's inputs
#include "poise/policy/mlp.hpp"

int main() {
    using namespace poise::policy;
    auto const network = mlp<double, dense<4, 8, activation::tanh>, dense<7, 2>>();
    return static_cast<int>(network.parameters()[0]);
}
