#include "spawn/image.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/text.h"
#include "sys/file.h"
#include "sys/mounts.h"

namespace cellar::spawn {
namespace {

namespace fs = std::filesystem;

// What programs need of /etc. Everything else of the host's is not in a cell: keys, hashes of
// passwords, names of machines and networks, settings of services.
constexpr std::string_view kEtcAllowed =
    "adduser.conf alternatives bash.bashrc bash_completion.d ca-certificates "
    "ca-certificates.conf cron.d cron.daily debconf.conf debian_version default deluser.conf dpkg "
    "environment fonts gai.conf group host.conf init.d inputrc issue java-17-openjdk "
    "ld.so.cache ld.so.conf ld.so.conf.d libaudit.conf localtime locale.alias locale.gen "
    "login.defs logrotate.d magic magic.mime mime.types networks nsswitch.conf opt os-release "
    "pam.conf pam.d passwd perl profile profile.d protocols python3 python3.11 python3.13 rpc "
    "security selinux services sgml shells skel terminfo ucf.conf xml";

// Below /etc/ssl and /etc/apt only these.
constexpr std::string_view kEtcParts =
    "ssl/certs ssl/openssl.cnf apt/sources.list apt/sources.list.d apt/trusted.gpg.d "
    "apt/preferences.d";

constexpr std::string_view kFolders =
    "usr etc var home root work proc sys dev run tmp srv mnt media boot opt var/cache var/log "
    "var/mail var/spool var/lib/misc var/lib/dpkg var/local var/backups var/opt "
    "var/lib/apt/lists/partial var/cache/apt/archives/partial etc/apt/apt.conf.d var/tmp";

constexpr std::string_view kHosts =
    "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
// Every address is the cell's own, and the daemon answers at each (docs/internals/network.md).
constexpr std::string_view kResolver = "nameserver 127.0.0.1\n";
// dpkg and tar must not try to give files to users that a cell does not have.
constexpr std::string_view kAptSettings = "APT::Sandbox::User \"root\";\nDpkg::Use-Pty \"0\";\n";

void write(const fs::path& path, std::string_view bytes, mode_t mode = 0644) {
  sys::replace_file(path.string(), bytes, mode);
}

// Copies what is a file, folder or link; a file that only root may read stays out.
void copy_public(const fs::path& from, const fs::path& to) {
  std::error_code ignored;
  const fs::file_status status = fs::symlink_status(from, ignored);
  if (fs::is_symlink(status)) {
    fs::copy_symlink(from, to, ignored);
    if (ignored == std::errc::no_space_on_device) {
      throw fs::filesystem_error("cannot copy link", from, to, ignored);
    }
  } else if (fs::is_directory(status)) {
    fs::create_directories(to);
    // What the daemon's own user may not list stays out, too.
    for (const fs::directory_entry& entry : fs::directory_iterator(from, ignored)) {
      copy_public(entry.path(), to / entry.path().filename());
    }
  } else if (fs::is_regular_file(status)) {
    const bool is_public = (status.permissions() & fs::perms::others_read) != fs::perms::none;
    if (is_public) fs::copy_file(from, to);
  }
}

// Nobody has a password: root is root by being started as root.
std::string shadow_of(std::string_view passwd) {
  std::string shadow;
  for (const std::string_view line : split(passwd, '\n')) {
    if (line.empty()) continue;
    shadow += std::string(line.substr(0, line.find(':'))) + ":*:19000:0:99999:7:::\n";
  }
  return shadow;
}

void fill(const fs::path& root) {
  for (const std::string_view folder : split(kFolders, ' ')) fs::create_directories(root / folder);
  fs::permissions(root / "root", fs::perms::owner_all);
  fs::permissions(root / "tmp", fs::perms::all | fs::perms::sticky_bit);
  fs::permissions(root / "var/tmp", fs::perms::all | fs::perms::sticky_bit);
  for (const char* link : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    const fs::path host = fs::path("/") / link;
    if (fs::is_symlink(host)) {
      fs::copy_symlink(host, root / link);
    } else if (fs::exists(host)) {
      throw Error(ErrorCode::unavailable, "dev_image",
                  "/" + std::string(link) +
                      " is not a link into /usr: the dev image needs a host "
                      "with merged /usr, as Debian 12 and 13 are");
    }
  }
  fs::create_symlink("/run", root / "var/run");
  fs::create_symlink("/run/lock", root / "var/lock");

  for (const std::string_view name : split(kEtcAllowed, ' ')) {
    copy_public(fs::path("/etc") / name, root / "etc" / name);
  }
  for (const std::string_view name : split(kEtcParts, ' ')) {
    fs::create_directories((root / "etc" / name).parent_path());
    copy_public(fs::path("/etc") / name, root / "etc" / name);
  }
  fs::create_symlink("/proc/self/mounts", root / "etc/mtab");
  write(root / "etc/hosts", kHosts);
  write(root / "etc/resolv.conf", kResolver);
  write(root / "etc/hostname", "cell\n");
  write(root / "etc/apt/apt.conf.d/00cellar", kAptSettings);
  const std::string passwd = sys::read_file("/etc/passwd").value_or("root:x:0:0::/root:/bin/sh\n");
  write(root / "etc/shadow", shadow_of(passwd), 0640);
}

// Paths, kinds, modes and contents, in a fixed order.
std::string digest_of(const fs::path& root) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(root)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::string text;
  for (const fs::path& path : paths) {
    const fs::file_status status = fs::symlink_status(path);
    text += path.lexically_relative(root).string() + "\n" +
            std::to_string(static_cast<int>(status.type())) + " " +
            std::to_string(static_cast<unsigned>(status.permissions())) + "\n";
    if (fs::is_symlink(status)) text += fs::read_symlink(path).string() + "\n";
    if (fs::is_regular_file(status)) {
      text += sha256_hex(sys::read_file(path.string()).value_or("")) + "\n";
    }
  }
  return sha256_hex(text).substr(0, 16);
}

// The folder of the image as this host has it now.
fs::path make_dev_image(const fs::path& images, const fs::path& draft, sandbox::Rights rights) {
  sys::make_dirs(draft.string(), 0755);
  {
    const sys::FileOwner as_owner(rights == sandbox::Rights::user ? sandbox::kUserIdBase : 0);
    fill(draft / "root");
  }
  for (const char* folder : {"agent/data", "agent/opt/cellar/agent-host"}) {
    fs::create_directories(draft / folder);
  }
  const fs::path final = images / ("dev-" + digest_of(draft));
  if (fs::exists(final)) {
    sys::remove_tree(draft.string());
  } else {
    fs::rename(draft, final);
  }
  return final;
}

// The one that was made last; empty where there is none.
fs::path newest_dev_image(const fs::path& images) {
  fs::path newest;
  for (const fs::directory_entry& entry : fs::directory_iterator(images)) {
    if (!entry.path().filename().string().starts_with("dev-")) continue;
    if (newest.empty() || entry.last_write_time() > fs::last_write_time(newest)) {
      newest = entry.path();
    }
  }
  return newest;
}

bool is_no_room(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const fs::filesystem_error& error) {
    return error.code() == std::errc::no_space_on_device;
  } catch (const Error& error) {
    return error.code() == ErrorCode::exhausted;
  } catch (...) {
    return false;
  }
}

// On a full disk an image of before does: cells have to run, so that room can be made.
fs::path dev_image(const fs::path& images, sandbox::Rights rights) {
  const fs::path draft = images / (".dev-draft-" + random_hex(4));
  std::exception_ptr failure;
  try {
    return make_dev_image(images, draft, rights);
  } catch (...) {
    failure = std::current_exception();
  }
  if (fs::exists(draft)) sys::remove_tree(draft.string());
  const fs::path before = is_no_room(failure) ? newest_dev_image(images) : fs::path();
  if (before.empty()) std::rethrow_exception(failure);
  log::warning("no room for the dev image of the host as it is now: {} is taken", before.string());
  return before;
}

}  // namespace

sandbox::Image prepare_dev_image(const std::string& state_dir, sandbox::Rights rights) {
  try {
    const fs::path images = fs::path(state_dir) / "images";
    sys::make_dirs(images.string());
    const fs::path final = dev_image(images, rights);
    const bool has_packages = fs::is_directory("/var/lib/dpkg");
    return {.root = (final / "root").string(),
            .agent = (final / "agent").string(),
            .usr = "/usr",
            .packages = has_packages ? "/var/lib/dpkg" : (final / "root/var/lib/dpkg").string()};
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::internal, "dev_image", error.what());
  }
}

}  // namespace cellar::spawn
