#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cellar::sandbox {

// What runs a cell's processes: the machine's kernel behind namespaces and filters, or gVisor, a
// kernel of its own in front of it. In the order of their strength.
enum class Runtime : std::uint8_t { native, gvisor };

constexpr std::string_view name_of(Runtime runtime) noexcept {
  return runtime == Runtime::gvisor ? "gvisor" : "native";
}

constexpr std::optional<Runtime> runtime_of(std::string_view name) noexcept {
  if (name == "native") return Runtime::native;
  if (name == "gvisor") return Runtime::gvisor;
  return std::nullopt;
}

}  // namespace cellar::sandbox
