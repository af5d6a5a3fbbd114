#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

// What may be given to options and words of a command line. A refusal says which one, what is
// allowed and what was given: `--limit: must be a whole number from 1 to 100, not "x"`.
namespace cellar {

// Both ends are allowed. Numbers beyond 64 bits are refused, too.
CLI::Validator whole_number(std::int64_t least, std::int64_t most = INT64_MAX);
CLI::Validator decimal_number(double least, double most);
CLI::Validator one_of(const std::vector<std::string>& words);
CLI::Validator ipv4_address();

// Once all options of `app` and its subcommands are there: lets flags take nothing but true or
// false, and has missing values and words too many told in the same way. A number that has no check
// of its own is a bug, as the library's words would not name what is allowed.
void name_refusals(CLI::App& app);

}  // namespace cellar
