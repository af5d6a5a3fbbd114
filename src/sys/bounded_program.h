#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace cellar::sys {

struct ProgramEnd {
  bool timed_out = false;
  int exit_code = -1;  // -1 where a signal ended it
  std::string output;  // both of its outputs, at most the first 64 KiB
};

struct ProgramOptions {
  std::optional<std::vector<std::string>> environment = std::nullopt;  // nullopt: ours
  std::function<bool()> is_wanted = {};  // asked each 10 ms; where it says no, its time is over
};

// Runs a program of PATH in a process group of its own and kills that group after `limit`; no
// input. Throws Error where it cannot be started.
ProgramEnd run_bounded(const std::string& name, const std::vector<std::string>& arguments,
                       std::chrono::milliseconds limit, const ProgramOptions& options = {});

}  // namespace cellar::sys
