#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cellar::doctor {

enum class Verdict : std::uint8_t {
  ok,
  warning,  // there, but weaker than it could be; or nothing depends on it
  missing,
};
std::string_view to_string(Verdict verdict) noexcept;

enum class Group : std::uint8_t { host, native, gvisor, images, hardening };
std::string_view to_string(Group group) noexcept;

// One thing that was looked at.
struct Finding {
  std::string id;  // "cgroup.pids": stable, for programs and for judge()
  Group group = Group::host;
  Verdict verdict = Verdict::ok;
  std::string found;   // "cgroup v1", "clone3: Operation not permitted"
  std::string means;   // what it is to cells; empty where all is well
  std::string remedy;  // one command or sentence; empty where there is nothing to do
};

using Findings = std::vector<Finding>;

// "Operation not permitted".
std::string text_of_errno(int error);

}  // namespace cellar::doctor
