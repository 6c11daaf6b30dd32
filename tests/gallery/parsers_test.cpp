#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "../../examples/gallery/runner/csv.hpp"
#include "../../examples/gallery/runner/input_error.hpp"
#include "../../examples/gallery/runner/preflib.hpp"

namespace {

using tiers = std::vector<std::vector<std::size_t>>;

std::string const three = "# NUMBER ALTERNATIVES: 3\n";

/// The message with which `read` refuses its input; empty if it does not.
template <class Read>
std::string refusal(Read read) {
    try {
        read();
    } catch (gallery::input_error const& error) {
        return error.what();
    }
    return {};
}

std::string preflib_refusal(std::string const& text, std::string const& file) {
    return refusal([&] { (void)gallery::parse_preflib(text, file); });
}

std::string csv_refusal(std::string const& text) {
    return refusal([&] { (void)gallery::parse_csv(text, "t.csv"); });
}

} // namespace

TEST_CASE("a PrefLib file gives names, counts and tiers") {
    auto const profile = gallery::parse_preflib("\xEF\xBB\xBF# TITLE: Lunch: today\r\n# DATA TYPE: toi\r\n"
                                                "# NUMBER ALTERNATIVES: 4\r\n# NUMBER VOTERS: 6\r\n# a free comment\r\n"
                                                "# ALTERNATIVE NAME 1: Soup, cold\r\n# ALTERNATIVE NAME 3: Rice\r\n"
                                                "\r\n 3 : 4, {1,2} ,3\r\n2: { 3 , 1 }\r\n1: 2",
                                                "lunch.toi");
    CHECK(profile.title == "Lunch: today");
    CHECK(profile.names == std::vector<std::string>{"Soup, cold", "Alternative 2", "Rice", "Alternative 4"});
    REQUIRE(profile.orders.size() == 3);
    CHECK(profile.voters() == 6);
    CHECK(profile.orders[0].count == 3);
    CHECK(profile.orders[0].tiers == tiers{{3}, {0, 1}, {2}});
    CHECK(profile.orders[1].tiers == tiers{{2, 0}});
    CHECK(profile.orders[2].tiers == tiers{{1}});
}

TEST_CASE("win probabilities count voters who rank at least one of the pair") {
    auto const P = gallery::win_probabilities(
        gallery::parse_preflib("# NUMBER ALTERNATIVES: 4\n3: 1,{2,3}\n1: 2,1\n4: 3\n", "p.toi"));
    CHECK(P(0, 1) == 3.0 / 4);       // voters of the third order rank neither
    CHECK(P(0, 2) == 4.0 / 8);       // the second order leaves alternative 3 out, the third ranks it alone
    CHECK(P(1, 2) == 2.5 / 8);       // half of three ties, one win
    CHECK(P(2, 3) == 1.0);           // alternative 4 is ranked by nobody
    CHECK(P.voters[0 * 4 + 3] == 4); // and still compared by those who rank alternative 1
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(P(i, i) == 0.5);
        for (std::size_t j = 0; j < 4; ++j) CHECK(P(i, j) + P(j, i) == 1.0);
    }
}

TEST_CASE("a pair that nobody compares is at one half") {
    auto const P = gallery::win_probabilities(gallery::parse_preflib(three + "5: 1\n", "p.soi"));
    CHECK(P(1, 2) == 0.5);
    CHECK(P.voters[1 * 3 + 2] == 0);
    CHECK(P(0, 1) == 1.0);
}

TEST_CASE("a malformed PrefLib file is refused with file, line and column") {
    CHECK(preflib_refusal(three + "2: 1,2,x\n", "a.soc") == "a.soc:2:8: alternative 'x' is not a whole number");
    CHECK(preflib_refusal(three + "2: 1,2,4\n", "a.soc") ==
          "a.soc:2:8: alternative 4 is out of range, expected 1 to 3");
    CHECK(preflib_refusal(three + "2: 1,0\n", "a.soi") == "a.soi:2:6: alternative 0 is out of range, expected 1 to 3");
    CHECK(preflib_refusal(three + "2: 1, 2,1\n", "a.soi") == "a.soi:2:9: alternative 1 is ranked twice in this order");
    CHECK(preflib_refusal(three + "2: 1,2\n", "a.soc") ==
          "a.soc:2:4: 2 of 3 alternatives are ranked in a file of complete orders");
    CHECK(preflib_refusal(three + "2: 1,{2,3}\n", "a.soc") == "a.soc:2:6: a tie in a file of strict orders");
    CHECK(preflib_refusal(three + "2: 1,{2,3\n", "a.toc") == "a.toc:2:10: the tie is not closed, expected '}'");
    CHECK(preflib_refusal(three + "2: 1,{2,{3}}\n", "a.toc") ==
          "a.toc:2:9: alternative is missing, expected a whole number");
    CHECK(preflib_refusal(three + "2: {1,2}3\n", "a.toi") == "a.toi:2:9: unexpected '3'");
    CHECK(preflib_refusal(three + "2: 1}\n", "a.toi") == "a.toi:2:5: unexpected '}'");
    CHECK(preflib_refusal(three + "2: 1,{}\n", "a.toi") ==
          "a.toi:2:7: alternative is missing, expected a whole number");
    CHECK(preflib_refusal(three + "2: 1,,2\n", "a.soi") ==
          "a.soi:2:6: alternative is missing, expected a whole number");
    CHECK(preflib_refusal(three + "2:\n", "a.soi") == "a.soi:2:3: alternative is missing, expected a whole number");
    CHECK(preflib_refusal(three + "two: 1\n", "a.soi") == "a.soi:2:1: count 'two' is not a whole number");
    CHECK(preflib_refusal(three + "-2: 1\n", "a.soi") == "a.soi:2:1: count '-2' is not a whole number");
    CHECK(preflib_refusal(three + "0: 1\n", "a.soi") == "a.soi:2:1: count is 0, expected at least one voter");
    CHECK(preflib_refusal(three + "1,2,3\n", "a.soc") == "a.soc:2:1: '1,2,3' is not an order, expected 'count: 1,2,3'");
    CHECK(preflib_refusal("2: 1\n", "a.soi") ==
          "a.soi:1:1: the header must say '# NUMBER ALTERNATIVES: ...' before the orders");
    CHECK(preflib_refusal("# NUMBER ALTERNATIVES: many\n", "a.soi") ==
          "a.soi:1:24: NUMBER ALTERNATIVES 'many' is not a whole number");
    CHECK(preflib_refusal("# NUMBER ALTERNATIVES: 99999999999\n", "a.soi") ==
          "a.soi:1:24: NUMBER ALTERNATIVES is 99999999999, expected 1 to 1000000");
    CHECK(preflib_refusal(three + "# ALTERNATIVE NAME 4: x\n", "a.soi") ==
          "a.soi:2:20: alternative 4 is out of range, expected 1 to 3");
    CHECK(preflib_refusal(three, "a.soi") == "a.soi:2:1: the file ends without an order 'count: 1,2,3'");
    CHECK(preflib_refusal("", "a.soi") == "a.soi:1:1: the file ends without an order 'count: 1,2,3'");
    CHECK(preflib_refusal(three + "# NUMBER VOTERS: 9\n2: 1\n", "a.soi") ==
          "a.soi:2:18: NUMBER VOTERS is 9, but the orders count 2: is the file cut off?");
    CHECK(preflib_refusal(three + "18446744073709551615: 1\n1: 2\n", "a.soi") ==
          "a.soi:3:1: the counts add up to more voters than can be counted");
    CHECK(preflib_refusal(three + "# DATA TYPE: soc\n2: 1,2\n", "renamed.txt") ==
          "renamed.txt:3:4: 2 of 3 alternatives are ranked in a file of complete orders");
    CHECK(preflib_refusal("# NUMBER ALTERNATIVES: 6000\n1: 1\n", "a.soi").empty());
    CHECK(refusal([] {
              (void)gallery::win_probabilities(gallery::parse_preflib("# NUMBER ALTERNATIVES: 6000\n1: 1\n", "a.soi"));
          }) == "a.soi: 6000 alternatives, but at most 5000 can be compared pair by pair");
}

TEST_CASE("a CSV file gives names and numbers") {
    auto const table = gallery::parse_csv("\xEF\xBB\xBF"
                                          "a, \"b, c\" ,d\r\n1,-2.5,+3e2\r\n\r\n \"4\" ,0.1, 6",
                                          "t.csv");
    CHECK(table.columns == std::vector<std::string>{"a", "b, c", "d"});
    CHECK(table.values == std::vector<double>{1, -2.5, 300, 4, 0.1, 6});
    CHECK(table.rows() == 2);
    CHECK(table(1, 2) == 6);
    CHECK(table.column("d") == 2);
    CHECK(gallery::parse_csv("a;b\n1;2\n", "t.csv").columns.size() == 2);
    CHECK(gallery::parse_csv("a\tb\n1\t2\n", "t.csv")(0, 1) == 2);
    CHECK(gallery::parse_csv("a\n1\n2\n", "t.csv").rows() == 2);
}

TEST_CASE("a malformed CSV file is refused with file, line and column") {
    CHECK(csv_refusal("a,b\n1,2\n3,x\n") == "t.csv:3:3: column 'b': 'x' is not a finite number");
    CHECK(csv_refusal("a,b\n1,2,\n") == "t.csv:2:5: more cells than the 2 columns of the first line: ''");
    CHECK(csv_refusal("a,b\n1\n") == "t.csv:2:2: the line ends before column 'b', expected 2 cells");
    CHECK(csv_refusal("a,b\n1, \n") == "t.csv:2:4: column 'b' is empty, expected a number");
    for (std::string const bad : {"nan", "inf", "1e999", "1 2", "0x10", "+-1", "1.5.2", "\"1\"2"})
        CHECK(csv_refusal("a\n" + bad + "\n").starts_with("t.csv:2:"));
    CHECK(csv_refusal("a\n1\x01\n") == "t.csv:2:1: column 'a': '1?' is not a finite number");
    CHECK(csv_refusal("a,\"b\n") == "t.csv:1:3: the quote is not closed on this line");
    CHECK(csv_refusal("a,a\n1,2\n") == "t.csv:1:3: column 'a' is named twice");
    CHECK(csv_refusal("a,,b\n1,2,3\n") == "t.csv:1:3: a column has no name");
    CHECK(csv_refusal("") == "t.csv:1:1: the file is empty, expected a line of column names");
    CHECK(csv_refusal("a,b\n") == "t.csv:2:1: the file ends without a line of numbers");
    CHECK(refusal([] { (void)gallery::parse_csv("a,b\n1,2\n", "t.csv").column("c"); }) ==
          "t.csv:1:1: unknown column 'c'; the columns are: a, b");
}

TEST_CASE("a file that cannot be read is refused by name") {
    CHECK(refusal([] { (void)gallery::read_csv("/nowhere/t.csv"); }) ==
          "cannot read '/nowhere/t.csv': No such file or directory");
    CHECK(refusal([] { (void)gallery::read_preflib("/"); }) == "cannot read '/': it is a folder");
}
