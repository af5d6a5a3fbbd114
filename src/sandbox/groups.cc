#include "sandbox/groups.h"

#include <fcntl.h>

#include "base/error.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::sandbox {

namespace {

constexpr int kMakeAttempts = 10;

// Somebody else may remove what all cells share at any moment at which nothing is in it, also
// between its making and that of what comes below it.
void make_group(const std::string& folder) {
  const std::string above = folder.substr(0, folder.rfind('/'));
  for (int attempt = 1; attempt < kMakeAttempts; ++attempt) {
    try {
      sys::make_dirs(folder, 0755);
      return;
    } catch (const Error&) {
      if (sys::exists(above)) throw;
    }
  }
  sys::make_dirs(folder, 0755);
}

}  // namespace

void apply(const CgroupPlan& plan) {
  for (const std::string& folder : plan.folders) make_group(folder);
  for (const auto& [file, value] : plan.settings) sys::write_setting(file, value);
  for (const auto& [file, value] : plan.wishes) {
    if (sys::exists(file)) sys::write_setting(file, value);
  }
}

void apply(const ProgramPlan& plan, std::uint32_t uid) {
  if (plan.group.empty()) return;
  sys::make_dirs(plan.group, 0755);
  for (const std::string& folder : plan.folders) sys::make_dirs(folder, 0755);
  for (const auto& [file, value] : plan.settings) sys::write_setting(file, value);
  // Starting a process in a group needs both, its own and the nearest common one.
  const std::string domain = plan.group.substr(0, plan.group.rfind('/'));
  for (const std::string& folder : {plan.group, domain}) {
    sys::give_to(sys::open_file(folder + "/cgroup.procs", O_RDONLY).get(), uid);
  }
}

bool try_remove_group(const std::string& folder) { return sys::try_remove_folder(folder); }

bool try_remove_tree(const std::string& folder) {
  if (try_remove_group(folder)) return true;
  for (const std::string& name : sys::folders_in(folder)) try_remove_tree(folder + "/" + name);
  return try_remove_group(folder);
}

void kill_group(const std::string& folder) {
  if (sys::exists(folder)) sys::write_setting(folder + "/cgroup.kill", "1");
}

bool is_populated(const std::string& folder) {
  const auto events = sys::read_file(folder + "/cgroup.events");
  return events && events->find("populated 1") != std::string::npos;
}

bool try_remove(const CgroupPlan& plan) {
  // One look instead of many attempts: it is asked again and again until all have died.
  if (is_populated(plan.cell)) return false;
  // Where no program has a group any more, these are all, and no folder is read.
  for (auto at = plan.folders.rbegin(); at != plan.folders.rend(); ++at) {
    if (at->starts_with(plan.cell + "/")) try_remove_group(*at);
  }
  bool all = try_remove_tree(plan.cell);
  for (const std::string& folder : plan.join) all = try_remove_tree(folder) && all;
  return all;
}

void remove_daemon_group(const CgroupHost& host, const std::string& daemon_group) {
  if (host.unified.empty()) return;
  try_remove_group(host.unified + "/" + daemon_group);
  for (const auto& [controller, mount] : host.legacy) {
    try_remove_group(mount + "/" + daemon_group);
  }
}

}  // namespace cellar::sandbox
