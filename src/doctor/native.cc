#include "doctor/native.h"

#include <cerrno>

#include "doctor/attempt.h"
#include "doctor/settings.h"
#include "doctor/trial_folder.h"
#include "sandbox/filter.h"
#include "sandbox/filter_program.h"
#include "sys/catch_all.h"
#include "sys/file.h"
#include "sys/landlock.h"
#include "sys/mounts.h"
#include "sys/probe.h"
#include "sys/user_namespace.h"

namespace cellar::doctor {
namespace {

constexpr std::uint32_t kTrialIds = 100'000;  // any that are not the host's
constexpr std::uint32_t kTrialIdCount = 65'536;
constexpr int kLandlockScopes = 6;

struct NamespaceText {
  sys::NamespaceKind kind;
  const char* id;
  const char* means;
};
constexpr NamespaceText kNamespaces[] = {
    {sys::NamespaceKind::mount, "namespace.mount", "cells would see the host's files"},
    {sys::NamespaceKind::pid, "namespace.pid", "cells would see and signal the host's processes"},
    {sys::NamespaceKind::net, "namespace.net", "cells would have the host's network"},
    {sys::NamespaceKind::ipc, "namespace.ipc", "cells would share memory with the host"},
    {sys::NamespaceKind::uts, "namespace.uts", "cells would see the host's name"},
    {sys::NamespaceKind::cgroup, "namespace.cgroup", "cells would see the host's cgroups"},
};
constexpr const char* kNotContained = "run on the host itself, not in a container that forbids it";

Finding answer(const char* id, const std::optional<std::string>& refusal, const char* found,
               const char* means, const char* remedy) {
  if (!refusal) return {id, Group::native, Verdict::ok, found, "", ""};
  return {id, Group::native, Verdict::missing, *refusal, means, remedy};
}

std::optional<std::string> text_of(int error) {
  if (error == 0) return std::nullopt;
  return text_of_errno(error);
}

Findings examine_namespaces(sandbox::Rights rights) {
  const int error = sys::try_namespace(sys::NamespaceKind::user);
  Findings findings = {judge_user_namespace("", error, rights == sandbox::Rights::root)};
  for (const auto& [kind, id, means] : kNamespaces) {
    findings.push_back(
        answer(id, text_of(sys::try_namespace(kind)), "can be made", means, kNotContained));
  }
  return findings;
}

Finding examine_overlay(const std::string& place) {
  int error = 0;
  const auto refusal = refusal_of([&] {
    const TrialFolder folder(place);
    error = sys::try_overlay(folder.folder("lower"), folder.folder("upper"), folder.folder("work"));
    if (error != 0) throw_errno_value(error, "mount", "overlay in " + place);
  });
  return answer("mounts.overlay", refusal, sys::is_root() ? "works" : "works with userxattr",
                "what a cell installs would have no place",
                error == ENODEV ? "modprobe overlay: the kernel has not loaded it by itself"
                                : "keep the state folder on ext4, xfs or btrfs");
}

Finding examine_overlay_descriptors(const std::string& place) {
  const int error = sys::try_overlay_of_descriptors(place);
  if (error == 0) return {"mounts.overlay_fd", Group::native, Verdict::ok, "works", "", ""};
  return {"mounts.overlay_fd",
          Group::native,
          Verdict::warning,
          text_of_errno(error),
          "layers are given by paths, which costs some mounts more",
          "Linux 6.13 or later"};
}

Finding examine_idmapped(const std::string& place, sandbox::Rights rights) {
  const auto refusal = refusal_of([&] {
    const bool is_root = rights == sandbox::Rights::root;
    const sys::Fd ids =
        sys::make_user_namespace(is_root ? kTrialIds : sandbox::kUserIdBase, kTrialIdCount);
    const sys::Fd tree = sys::clone_tree(place);
    sys::set_mount(tree.get(), 0, ids.get());
  });
  return answer("mounts.idmapped", refusal, "works in the state folder",
                "the files of a cell could not be root's inside and nobody's outside",
                "keep the state folder on ext4, xfs or btrfs, and start cellard as root");
}

// An empty image, as mkfs.erofs makes it of an empty folder: what is not zero of its 4096 bytes.
std::string empty_erofs() {
  using std::string_view_literals::operator""sv;
  std::string bytes(4096, '\0');
  const auto put = [&bytes](std::size_t at, std::string_view part) {
    bytes.replace(at, part.size(), part);
  };
  put(0x400, "\xe2\xe1\xf5\xe0\xd8\xea\xff\x3d\x03\x00\x00\x00\x0c\x00\x24\x00\x01"sv);
  put(0x424, "\x01"sv);
  put(0x430, "\xce\x11\xa2\xce\x00\x00\x40\x00\x80\x00\x00\x00\x00\x00\x00\x01"sv);
  put(0x480, "\x04\x00\x00\x00\xed\x41\x02\x00\x1b"sv);
  put(0x490, "\xff\xff\xff\xff"sv);
  put(0x4a0, "\x24\x00\x00\x00\x00\x00\x00\x00\x18\x00\x02\x00\x24"sv);
  put(0x4b4, "\x19\x00\x02\x00\x2e\x2e\x2e"sv);
  return bytes;
}

Finding examine_erofs(const std::string& place) {
  const auto refusal = refusal_of([&] {
    const TrialFolder folder(place);
    const std::string file = folder.path() + "/empty.erofs";
    sys::replace_file(file, empty_erofs());
    sys::make_mount("erofs", {{"source", file}}, sys::kReadOnly);
  });
  if (!refusal)
    return {"mounts.erofs", Group::native, Verdict::ok, "a file can be mounted", "", ""};
  return {"mounts.erofs",
          Group::native,
          Verdict::warning,
          *refusal,
          "images are kept as folders, three times as large",
          "Linux 6.12 or later, with erofs"};
}

Finding examine_new_mounts() {
  return answer("mounts.new", text_of(sys::try_new_mounts()), "works",
                "a cell's files would be mounted by their paths", "Linux 5.12 or later");
}

Finding examine_filter() {
  const auto refusal = refusal_of([] {
    const std::string program =
        sandbox::compile_filter(sandbox::command_filter(), sandbox::own_architecture());
    const int error = sys::try_filter(program);
    if (error != 0) throw_errno_value(error, "seccomp", "the filter of commands");
  });
  return answer("seccomp", refusal, "the filter of commands works",
                "cells could make every system call", "a kernel with CONFIG_SECCOMP_FILTER");
}

Finding examine_every_port() {
  const auto refusal = refusal_of([] { sys::try_catch_all(); });
  Finding finding{
      "network.every_port", Group::native, Verdict::ok, "one listener can take all", "", ""};
  if (!refusal) return finding;
  finding.verdict = Verdict::warning;
  finding.found = *refusal;
  finding.means =
      "of policies with * or :*, cells reach ports 22, 80, 443 and those that entries "
      "name; their own servers cannot bind these";
  finding.remedy =
      "Linux 5.9 or later with CONFIG_BPF_SYSCALL, and cellard started as root, with "
      "CAP_BPF (or CAP_SYS_ADMIN) and CAP_NET_ADMIN where those are restricted";
  return finding;
}

Finding examine_landlock() {
  const int version = sys::landlock_version();
  Finding finding{"landlock", Group::native, Verdict::ok, "ABI " + std::to_string(version), "", ""};
  if (version >= kLandlockScopes) return finding;
  finding.verdict = Verdict::warning;
  if (version == 0) finding.found = "none";
  finding.means = version == 0 ? "the other walls have no second one behind them"
                               : "signals and abstract sockets have no second wall before them";
  finding.remedy = version == 0 ? "boot the kernel with lsm=landlock,…" : "Linux 6.12 or later";
  return finding;
}

}  // namespace

Findings examine_native(const std::string& place, const User& user) {
  const sandbox::Rights rights = user.rights;
  Findings findings = examine_namespaces(rights);
  findings.push_back(examine_new_mounts());
  findings.push_back(examine_idmapped(place, rights));
  findings.push_back(examine_overlay(place));
  findings.push_back(examine_overlay_descriptors(place));
  findings.push_back(examine_erofs(place));
  findings.push_back(judge_cgroup_mounts(""));
  for (Finding& finding : examine_cgroups(user)) findings.push_back(std::move(finding));
  findings.push_back(examine_filter());
  findings.push_back(answer("no_new_privs", text_of(sys::try_no_new_privileges()), "works",
                            "setuid programs would gain rights", "Linux 3.5 or later"));
  findings.push_back(examine_landlock());
  findings.push_back(examine_every_port());
  return findings;
}

}  // namespace cellar::doctor
