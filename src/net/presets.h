#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cellar::net {

// What an ecosystem needs, as entries of an allow-list.
struct Preset {
  std::string_view name;
  std::vector<std::string> allow;
};

// npm, pypi, debian, github, llm.
const std::vector<Preset>& presets();
// Throws Error `invalid_argument`, reason `invalid_preset`, naming those there are.
const Preset& preset_of(std::string_view name);

}  // namespace cellar::net
