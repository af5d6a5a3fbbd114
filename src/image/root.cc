#include "image/root.h"

#include <fcntl.h>

#include <filesystem>
#include <vector>

#include "base/error.h"
#include "image/digest.h"
#include "sys/beneath.h"
#include "sys/file.h"
#include "sys/mounts.h"
#include "sys/process.h"

namespace cellar::image {
namespace {

// Any; but always the same, so that the same files make the same image.
constexpr const char* kFileSystemId = "ce11a2ce-0000-4000-8000-000000000001";

// Mounted over in every cell.
constexpr const char* kEmptied[] = {"proc", "sys", "dev", "run", "tmp", "work"};
// What tells of, or belongs to, the machine that it was made on.
constexpr const char* kRemoved[] = {"etc/machine-id",
                                    "var/lib/dbus/machine-id",
                                    "etc/ssh/ssh_host_rsa_key",
                                    "etc/ssh/ssh_host_ecdsa_key",
                                    "etc/ssh/ssh_host_ed25519_key",
                                    "var/lib/systemd/random-seed",
                                    "root/.bash_history",
                                    "root/.ssh"};

// What is written below, and the folders that it is written in.
constexpr const char* kTouched[] = {"etc/hosts",
                                    "etc/hostname",
                                    "etc/resolv.conf",
                                    "etc/machine-id",
                                    "etc/apt/apt.conf.d/00cellar",
                                    "usr/sbin/policy-rc.d",
                                    "etc/apt/apt.conf.d",
                                    "etc/ssh",
                                    "etc",
                                    "usr/sbin",
                                    "root",
                                    "var/lib/dbus",
                                    "var/lib/systemd",
                                    "."};

constexpr std::string_view kHosts =
    "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
// Every address is the cell's own, and the daemon answers at each (docs/internals/network.md).
constexpr std::string_view kResolver = "nameserver 127.0.0.1\n";
// dpkg and tar must not try to give files to users that a cell does not have.
constexpr std::string_view kAptSettings = "APT::Sandbox::User \"root\";\nDpkg::Use-Pty \"0\";\n";
// There is nothing in a cell that would start them.
constexpr std::string_view kNoServices = "#!/bin/sh\nexit 101\n";

bool can_mount(const std::string& file) {
  try {
    const sys::Fd mount = sys::make_mount("erofs", {{"source", file}}, sys::kReadOnly);
    return true;
  } catch (const Error&) {  // Linux before 6.12 wants a block device.
    return false;
  }
}

// Of equal roots equal images are made, whenever that is.
void forget_times(const std::string& root) {
  std::vector<std::string> arguments = {"--no-dereference", "--date=@0"};
  for (const char* path : kEmptied) arguments.push_back(root + "/" + path);
  for (const char* path : kTouched) {
    if (sys::exists(root + "/" + path)) arguments.push_back(root + "/" + path);
  }
  sys::run_program("touch", arguments);
}

}  // namespace

void finish_root(const std::string& root) {
  const sys::BeneathDir files(root);
  const auto has = [&files](const char* path) {
    try {
      return files.stat(path).has_value();
    } catch (const Error&) {
      return false;  // An absolute link, as /bin/sh may be.
    }
  };
  if (!has("bin/sh") && !has("usr/bin/sh") && !sys::exists(root + "/bin/sh")) {
    throw Error(ErrorCode::invalid_argument, "invalid_image",
                "this is no root file system: it has no /bin/sh",
                "commands of a cell are started by it: use an image that has a shell");
  }
  for (const char* path : kRemoved) files.remove(path);
  for (const char* path : kEmptied) {
    files.remove(path);
    sys::make_dirs(root + "/" + path, 0755);
  }
  files.write_atomic("etc/hosts", kHosts);
  files.write_atomic("etc/hostname", "cell\n");
  files.write_atomic("etc/resolv.conf", kResolver);
  files.write_atomic("etc/machine-id", "");
  if (has("etc/apt")) files.write_atomic("etc/apt/apt.conf.d/00cellar", kAptSettings);
  if (has("usr/sbin")) files.write_atomic("usr/sbin/policy-rc.d", kNoServices, 0755);
  forget_times(root);
}

Packed pack(const std::string& draft) {
  const std::string file = draft + "/root.erofs";
  // A fixed time of its making, and the files' own: Python compares those with its compiled files'.
  sys::run_program("mkfs.erofs", {"--quiet", "-zlz4", "-T0", "--preserve-mtime", "-U",
                                  kFileSystemId, file, draft + "/root"});
  Packed packed{digest_of(sys::open_file(file, O_RDONLY), file), std::filesystem::file_size(file)};
  if (can_mount(file)) {
    sys::remove_tree(draft + "/root");
  } else {
    sys::remove_file(file);
  }
  return packed;
}

}  // namespace cellar::image
