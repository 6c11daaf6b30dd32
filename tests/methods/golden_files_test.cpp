#include "golden.hpp"

/// A file of golden vectors for which no method is registered counts as failed, case by case.
TEST_CASE("every golden file belongs to a method") {
    auto files = 0;
    for (auto const& entry : std::filesystem::directory_iterator(golden::directory())) {
        if (entry.path().extension() != ".json") continue;
        ++files;
        auto const slug = entry.path().stem().string();
        if (golden::tested_methods().contains(slug)) continue;
        auto const cases = golden::json::parse(std::ifstream(entry.path())).at("cases").size();
        std::printf("golden %s.json: 0 passed, %zu failed\n", slug.c_str(), cases);
        auto const text = slug + ".json: unknown method, " + std::to_string(cases) + " cases failed";
        FAIL_CHECK(text);
    }
    CHECK(files > 0);
}
