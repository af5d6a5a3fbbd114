#include "doctor/examine.h"

#include <filesystem>

#include "base/text.h"
#include "doctor/native.h"
#include "doctor/programs.h"
#include "doctor/settings.h"
#include "sys/disk_limit.h"
#include "sys/file.h"
#include "sys/probe.h"
#include "sys/process.h"

namespace cellar::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFreeBytesMin = 5'000'000'000;
constexpr std::int64_t kVsockGlobalBefore = 7;  // Linux 7.0

// Where probes make their files: the folder, or the nearest one above that is there.
std::string nearest_folder(const std::string& path) {
  fs::path folder = fs::path(path).lexically_normal();
  std::error_code ignored;
  while (!fs::is_directory(folder, ignored) && folder.has_relative_path()) {
    folder = folder.parent_path();
  }
  return folder.string();
}

Finding examine_kernel() {
  const sys::KernelName kernel = sys::kernel_name();
  Finding finding{"kernel",    Group::host,
                  Verdict::ok, "Linux " + kernel.release + " " + kernel.architecture,
                  "",          ""};
  if (kernel.architecture == "x86_64" || kernel.architecture == "aarch64") return finding;
  finding.verdict = Verdict::missing;
  finding.means = "there is no list of system calls for it";
  finding.remedy = "use x86_64 or aarch64";
  return finding;
}

Finding examine_user(const User& user) {
  if (user.rights == sandbox::Rights::root)
    return {"user", Group::host, Verdict::ok, "root", "", ""};
  const std::string uid = "uid " + std::to_string(user.uid);
  if (!user.refusal.empty()) {
    return {"user",
            Group::host,
            Verdict::missing,
            uid + ": " + user.refusal,
            "a daemon without root needs a user namespace with ids of its own",
            user.remedy.empty() ? "sudo cellard" : user.remedy};
  }
  return {"user",
          Group::host,
          Verdict::warning,
          uid + ", root of a user namespace with ids of its own",
          "all cells have the same ids, nothing but a process of theirs holds what a command "
          "started together, and processes are limited for each user of a cell only",
          "sudo cellard"};
}

Finding examine_free_space(const std::string& place) {
  const sys::FileSystem system = sys::file_system_of(place);
  Finding finding{
      "state.free", Group::host,
      Verdict::ok,  std::to_string(system.free_bytes / 1'000'000'000) + " GB free in " + place,
      "",           ""};
  if (system.free_bytes >= kFreeBytesMin) return finding;
  finding.verdict = Verdict::warning;
  finding.found = std::to_string(system.free_bytes / 1'000'000) + " MB free in " + place;
  finding.means = "cells, journals and images are there: a full disk stops them";
  finding.remedy = "put the state folder (--state) on a larger disk";
  return finding;
}

Finding examine_quota(const std::string& place) {
  const std::string type = sys::file_system_of(place).type;
  Finding finding{"state.quota", Group::host, Verdict::ok, "", "", ""};
  switch (sys::try_disk_limit(place)) {
    case sys::DiskEnforcer::qgroup:
      finding.found = type + ": a quota group holds";
      return finding;
    case sys::DiskEnforcer::project:
      finding.found = type + ": a project quota holds";
      return finding;
    case sys::DiskEnforcer::counted:
      break;
  }
  finding.verdict = Verdict::warning;
  finding.found = type + " limits no folders";
  finding.means =
      "cellard counts what a cell has, and ends what runs in one that has more; until then it can "
      "have written more";
  finding.remedy =
      type == "btrfs"
          ? "btrfs quota enable --simple, or without --simple before Linux 6.7; new cells then"
          : "a state folder on btrfs with quotas, or on xfs or ext4 mounted with prjquota";
  return finding;
}

Finding examine_seal_key(const Options& options) {
  const std::string& path = options.seal_key_file;
  Finding finding{"seal_key", Group::host, Verdict::ok, path, "", ""};
  constexpr fs::perms kOthers = fs::perms::group_all | fs::perms::others_all;
  std::error_code error;
  const fs::perms permissions = fs::status(path, error).permissions();
  if (is_inside(path, options.state)) {
    finding.verdict = Verdict::missing;
    finding.found = path + " is inside the state folder";
    finding.means = "a copy of the state folder would tell the secrets";
    finding.remedy = "set --seal-key-file to a path outside of it";
  } else if (error) {
    finding.found = path + " (made at the first start)";
  } else if ((permissions & kOthers) != fs::perms::none) {
    finding.verdict = Verdict::missing;
    finding.found = path + " can be read by others";
    finding.means = "cellard does not start";
    finding.remedy = "chmod 600 " + path;
  }
  return finding;
}

Finding examine_vsock() {
  Finding finding{"hardening.vsock", Group::hardening, Verdict::ok, "not in this kernel", "", ""};
  if (sys::try_vsock() != 0) return finding;
  const std::string release = sys::kernel_name().release;
  const auto major = parse_int(std::string_view(release).substr(0, release.find('.')));
  finding.found = "there";
  if (major && *major >= kVsockGlobalBefore) return finding;
  finding.verdict = Verdict::warning;
  finding.found = "there, in no network namespace (Linux before 7.0)";
  finding.means = "a process of this host can reach its hypervisor; cells cannot (seccomp)";
  finding.remedy = "echo 'install vsock /bin/false' > /etc/modprobe.d/vsock.conf";
  return finding;
}

}  // namespace

bool is_inside(const std::string& path, const std::string& folder) {
  const fs::path relative =
      fs::weakly_canonical(path).lexically_relative(fs::weakly_canonical(folder));
  return !relative.empty() && *relative.begin() != "..";
}

Findings examine(const Options& options) {
  const std::string state = nearest_folder(options.state);
  // Only root keeps cells in the state folder.
  const std::string place = sys::is_root() ? state : fs::temp_directory_path().string();
  Findings findings = {examine_kernel(), examine_user(options.user)};
  const auto add = [&findings](Findings more) {
    for (Finding& finding : more) findings.push_back(std::move(finding));
  };
  add({examine_free_space(state), examine_quota(state), examine_seal_key(options)});
  add(examine_native(place, options.user));
  add(examine_settings(""));
  add({examine_vsock()});
  add(examine_images(options.state));
  if (options.depth == Depth::all) add(examine_programs(place));
  Findings sorted;
  for (const Group group :
       {Group::host, Group::native, Group::gvisor, Group::images, Group::hardening}) {
    for (const Finding& finding : findings) {
      if (finding.group == group) sorted.push_back(finding);
    }
  }
  return sorted;
}

}  // namespace cellar::doctor
