#pragma once

#include <string>
#include <vector>

#include "daemon/config.h"

namespace cellar::daemon {

// Which settings differ, by the names of their options, in the order of docs/guide/operating.md.
struct SettingChanges {
  std::vector<std::string> taken;          // they hold from now on
  std::vector<std::string> needs_restart;  // they hold from the next start on

  bool operator==(const SettingChanges&) const = default;
};

// Makes `running` what `wanted` says, as far as that can be done while cells run.
SettingChanges take_settings(Config& running, const Config& wanted);

}  // namespace cellar::daemon
