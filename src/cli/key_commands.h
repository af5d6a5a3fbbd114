#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cellar::cli {

// Keys of the daemon's API; these need one with the scope admin.
struct KeyCreate {
  std::string name;
  std::string owner;  // empty: that of the key that asks
  std::vector<std::string> scopes;
  std::optional<std::int64_t> expires_in_s;
};
struct KeyList {};
struct KeyRemove {
  std::string id;
};

// The daemon reads the file of its settings again.
struct Reload {};

// The audit log, on the daemon's machine; without the daemon.
struct AuditVerify {
  std::string state;
  std::string expect;  // "NUMBER:HASH"; empty: none
};

}  // namespace cellar::cli
