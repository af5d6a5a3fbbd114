#include "sys/disk_limit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "sys/btrfs.h"
#include "sys/file.h"
#include "sys/project_quota.h"
#include "sys/tree_removal.h"

namespace cellar::sys {
namespace {

constexpr DiskUse kTrialLimit{1 << 20, 100};

void make_subvolumes(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) btrfs::make_subvolume(folder);
  const std::uint64_t group = btrfs::subvolume_number(folders.front());
  btrfs::make_group(folder_of(folders.front()), group);
  for (const std::string& folder : folders) btrfs::add_to_group(folder, group);
}

void make_project(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) make_dirs(folder);
  const std::uint32_t number = project::unused_number(folders.front());
  for (const std::string& folder : folders) project::set_number(folder, number);
}

// Writes more than the trial's limit; true where that was refused for it.
bool holds_back_writes(const std::string& folder) {
  const std::string name = folder + "/trial";
  try {
    const Fd file = open_file(name, O_CREAT | O_WRONLY);
    write_all(file.get(), std::string(2 * kTrialLimit.bytes, 'x'), name);
    sync_data(file.get(), name);
  } catch (const Error& error) {
    return error.code() == ErrorCode::exhausted;
  }
  return false;
}

// Root may exceed the limits of a project: here it is asked whether they hold, and looked whether
// what is written counts.
bool counts_writes(const std::vector<std::string>& folders) {
  project::require_enforced(folders.front());
  const std::string name = folders.back() + "/trial";
  const Fd file = open_file(name, O_CREAT | O_WRONLY);
  write_all(file.get(), std::string(kTrialLimit.bytes / 2, 'x'), name);
  sync_data(file.get(), name);
  const auto use = limited_use(DiskEnforcer::project, folders);
  return use && use->bytes >= kTrialLimit.bytes / 2;
}

bool works(DiskEnforcer enforcer, const std::vector<std::string>& folders) {
  try {
    make_limited(enforcer, folders);
    limit_disk(enforcer, folders, kTrialLimit);
    return enforcer == DiskEnforcer::qgroup ? holds_back_writes(folders.back())
                                            : counts_writes(folders);
  } catch (const Error&) {
    return false;  // Whatever it was: this file system does not do it.
  }
}

}  // namespace

std::string_view name_of(DiskEnforcer enforcer) noexcept {
  switch (enforcer) {
    case DiskEnforcer::counted:
      return "counted";
    case DiskEnforcer::project:
      return "project";
    case DiskEnforcer::qgroup:
      return "qgroup";
  }
  return "";
}

DiskEnforcer try_disk_limit(const std::string& place) {
  for (const DiskEnforcer enforcer : {DiskEnforcer::qgroup, DiskEnforcer::project}) {
    const std::string trial = place + "/.trial-" + random_hex(8);
    const std::vector<std::string> folders = {trial + "-a", trial + "-b"};
    const bool does = works(enforcer, folders);
    remove_limited(folders, [] { return true; });
    if (does) return enforcer;
  }
  return DiskEnforcer::counted;
}

void make_limited(DiskEnforcer enforcer, const std::vector<std::string>& folders) {
  if (enforcer == DiskEnforcer::qgroup) make_subvolumes(folders);
  if (enforcer == DiskEnforcer::project) make_project(folders);
  for (const std::string& folder : folders) {
    make_dirs(folder);
    if (::chmod(folder.c_str(), 0700) == -1) throw_errno("chmod", folder);
  }
}

DiskEnforcer enforcer_of(const std::vector<std::string>& folders) {
  if (std::all_of(folders.begin(), folders.end(), btrfs::is_subvolume)) {
    return DiskEnforcer::qgroup;
  }
  const std::uint32_t number = project::number_of(folders.front());
  const bool is_one = number != 0 && std::all_of(folders.begin(), folders.end(), [&](auto& folder) {
                        return project::number_of(folder) == number;
                      });
  return is_one ? DiskEnforcer::project : DiskEnforcer::counted;
}

void limit_disk(DiskEnforcer enforcer, const std::vector<std::string>& folders, DiskUse most) {
  const std::string& first = folders.front();
  if (enforcer == DiskEnforcer::qgroup) {
    btrfs::limit_group(folder_of(first), btrfs::subvolume_number(first), most.bytes);
  } else if (enforcer == DiskEnforcer::project) {
    project::limit(first, project::number_of(first), most);
  }
}

std::optional<DiskUse> limited_use(DiskEnforcer enforcer, const std::vector<std::string>& folders) {
  if (enforcer != DiskEnforcer::project) return std::nullopt;
  const std::string& first = folders.front();
  return project::use_of(first, project::number_of(first));
}

bool remove_limited(const std::vector<std::string>& folders, const std::function<bool()>& go_on) {
  const std::string& first = folders.front();
  try {
    switch (enforcer_of(folders)) {
      case DiskEnforcer::counted:
        break;
      case DiskEnforcer::project:
        limit_disk(DiskEnforcer::project, folders, {});
        break;
      case DiskEnforcer::qgroup: {
        const std::uint64_t group = btrfs::subvolume_number(first);
        for (const std::string& folder : folders) btrfs::take_from_group(folder, group);
        btrfs::remove_group(folder_of(first), group);
        for (const std::string& folder : folders) btrfs::remove_subvolume(folder);
        break;
      }
    }
  } catch (const Error&) {
    // A limit without folders harms nobody, and subvolumes go like other folders, more slowly.
  }
  for (const std::string& folder : folders) {
    if (!remove_tree_while(folder, go_on)) return false;
  }
  return true;
}

}  // namespace cellar::sys
