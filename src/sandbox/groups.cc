#include "sandbox/groups.h"

#include <fcntl.h>

#include <filesystem>
#include <vector>

#include "sys/file.h"

namespace cellar::sandbox {
void apply(const CgroupPlan& plan) {
  for (const std::string& folder : plan.folders) sys::make_dirs(folder, 0755);
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

bool try_remove_group(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove(folder, error);
  return !error || error == std::errc::no_such_file_or_directory;
}

bool try_remove_tree(const std::string& folder) {
  std::error_code ignored;
  std::vector<std::string> below;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, ignored)) {
    if (entry.is_directory(ignored)) below.push_back(entry.path().string());
  }
  for (auto at = below.rbegin(); at != below.rend(); ++at) try_remove_group(*at);
  return try_remove_group(folder);
}

void kill_group(const std::string& folder) {
  if (sys::exists(folder)) sys::write_setting(folder + "/cgroup.kill", "1");
}

bool try_remove(const CgroupPlan& plan) {
  bool all = try_remove_tree(plan.cell);
  for (const std::string& folder : plan.join) all = try_remove_tree(folder) && all;
  return all;
}

}  // namespace cellar::sandbox
