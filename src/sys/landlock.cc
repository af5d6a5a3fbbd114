#include "sys/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "base/error.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

constexpr int kReferVersion = 2;  // the first that can allow renames from folder to folder
constexpr int kScopeVersion = 6;

// The kernel's struct of version 6; Debian 12 has an older header.
struct Ruleset {
  std::uint64_t file_rights = 0;
  std::uint64_t network_rights = 0;
  std::uint64_t scopes = 0;
};
constexpr std::uint64_t kScopeAbstractSockets = 1;
constexpr std::uint64_t kScopeSignals = 2;
constexpr std::size_t kFirstRulesetBytes = sizeof(std::uint64_t);

// The ruleset refuses the rights that it names and no rule grants. A ruleset for files refuses
// mounts, too.
Fd make_ruleset(int version) {
  Ruleset ruleset;
  ruleset.file_rights =
      LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_REFER;
  const bool has_scopes = version >= kScopeVersion;
  if (has_scopes) ruleset.scopes = kScopeAbstractSockets | kScopeSignals;
  const std::size_t size = has_scopes ? sizeof ruleset : kFirstRulesetBytes;
  const long fd = ::syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
  if (fd == -1) throw_errno("landlock_create_ruleset");
  return Fd(static_cast<int>(fd));
}

// Renames and links from folder to folder are refused by every ruleset that does not allow them.
void allow_renames(int ruleset) {
  const Fd root = open_file("/", O_PATH | O_DIRECTORY);
  landlock_path_beneath_attr rule{};
  rule.allowed_access = LANDLOCK_ACCESS_FS_REFER;
  rule.parent_fd = root.get();
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == -1) {
    throw_errno("landlock_add_rule");
  }
}

}  // namespace

int landlock_version() noexcept {
  const long version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version > 0 ? static_cast<int>(version) : 0;
}

void restrict_with_landlock() {
  const int version = landlock_version();
  if (version < kReferVersion) return;
  const Fd ruleset = make_ruleset(version);
  allow_renames(ruleset.get());
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) == -1) {
    throw_errno("landlock_restrict_self");
  }
}

}  // namespace cellar::sys
