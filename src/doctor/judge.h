#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/finding.h"

// What findings amount to. Pure.
namespace cellar::doctor {

// How much isolation a daemon promises. It serves nothing on a host that gives less.
enum class Level : std::uint8_t {
  full,     // every wall and every limit
  reduced,  // what a daemon without root has: namespaces and filters, but neither idmapped mounts
            // nor cgroups
};
std::string_view to_string(Level level) noexcept;
std::optional<Level> parse_level(std::string_view text) noexcept;

struct RuntimeState {
  std::string name;   // "native", "gvisor"
  std::string state;  // "full", "reduced", "available", "unavailable"
  std::string why;    // empty for "full"
};

struct Judgement {
  bool satisfied = false;  // `level` can be kept
  bool reduced_is_there = false;
  std::vector<Finding> lacking;  // what it needs and is missing
  std::vector<RuntimeState> runtimes;
};

// What a level needs but was not looked at counts as missing.
Judgement judge(const Findings& findings, Level level);

// Throws Error `unavailable`, reason `below_level`, which names all that is lacking and how to get
// it; nothing happens where the level is satisfied.
void require(const Judgement& judgement, Level level);

}  // namespace cellar::doctor
