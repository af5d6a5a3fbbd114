#include "spawn/image.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/text.h"
#include "sys/file.h"
#include "sys/mounts.h"
#include "sys/process.h"

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

constexpr fs::perms kFolderMode = fs::perms::owner_all | fs::perms::group_read |
                                  fs::perms::group_exec | fs::perms::others_read |
                                  fs::perms::others_exec;
constexpr fs::perms kFileMode =
    fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read | fs::perms::others_read;
// Begins the name of what is being written; who does it comes next.
constexpr std::string_view kDraft = ".dev-draft-";
// Names the boot of the machine in which all files were written, or were last seen to be there.
constexpr const char* kBoot = "boot";
constexpr const char* kRoot = "root";  // what cells see as /, beside what only agents do

constexpr std::string_view kHosts =
    "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
// Every address is the cell's own, and the daemon answers at each (docs/internals/network.md).
constexpr std::string_view kResolver = "nameserver 127.0.0.1\n";
// dpkg and tar must not try to give files to users that a cell does not have.
constexpr std::string_view kAptSettings = "APT::Sandbox::User \"root\";\nDpkg::Use-Pty \"0\";\n";

// One file, folder or link of the image. Of a link, `contents` is where it leads.
struct Part {
  fs::file_type type = fs::file_type::directory;
  fs::perms mode = kFolderMode;
  std::string contents;
};

// All of it by path, and so each folder before what is in it. It is named before it is written: a
// thousand files made at each start, only to be thrown away, held up the first cells by 0.1 s.
using Parts = std::map<fs::path, Part>;

void add_folder(Parts& parts, const fs::path& path) {
  if (path.has_relative_path() && parts.try_emplace(path).second) {
    add_folder(parts, path.parent_path());
  }
}

void add(Parts& parts, const fs::path& path, Part part) {
  add_folder(parts, path.parent_path());
  parts[path] = std::move(part);
}

void add_link(Parts& parts, const fs::path& path, const fs::path& target) {
  add(parts, path, {fs::file_type::symlink, fs::perms::all, target.string()});
}

void add_file(Parts& parts, const fs::path& path, std::string bytes, fs::perms mode = kFileMode) {
  add(parts, path, {fs::file_type::regular, mode, std::move(bytes)});
}

// The host's file, folder or link; a file that only root may read stays out.
void add_public(Parts& parts, const fs::path& from, const fs::path& to) {
  std::error_code ignored;
  const fs::file_status status = fs::symlink_status(from, ignored);
  if (fs::is_symlink(status)) {
    const fs::path target = fs::read_symlink(from, ignored);
    if (!ignored) add_link(parts, to, target);
  } else if (fs::is_directory(status)) {
    add_folder(parts, to);
    // What the daemon's own user may not list stays out, too.
    for (const fs::directory_entry& entry : fs::directory_iterator(from, ignored)) {
      add_public(parts, entry.path(), to / entry.path().filename());
    }
  } else if (fs::is_regular_file(status)) {
    const bool is_public = (status.permissions() & fs::perms::others_read) != fs::perms::none;
    auto bytes = is_public ? sys::read_file(from.string()) : std::nullopt;
    if (bytes) add_file(parts, to, *std::move(bytes), status.permissions());
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

void add_etc(Parts& parts, const fs::path& etc) {
  for (const std::string_view name : split(kEtcAllowed, ' ')) {
    add_public(parts, fs::path("/etc") / name, etc / name);
  }
  for (const std::string_view name : split(kEtcParts, ' ')) {
    add_folder(parts, (etc / name).parent_path());
    add_public(parts, fs::path("/etc") / name, etc / name);
  }
  add_link(parts, etc / "mtab", "/proc/self/mounts");
  add_file(parts, etc / "hosts", std::string(kHosts));
  add_file(parts, etc / "resolv.conf", std::string(kResolver));
  add_file(parts, etc / "hostname", "cell\n");
  add_file(parts, etc / "apt/apt.conf.d/00cellar", std::string(kAptSettings));
  const std::string passwd = sys::read_file("/etc/passwd").value_or("root:x:0:0::/root:/bin/sh\n");
  constexpr fs::perms kSecretMode =
      fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read;
  add_file(parts, etc / "shadow", shadow_of(passwd), kSecretMode);
}

// The image as this host would have it now.
Parts dev_parts() {
  const fs::path root = kRoot;
  Parts parts;
  for (const std::string_view folder : split(kFolders, ' ')) add_folder(parts, root / folder);
  parts[root / "root"].mode = fs::perms::owner_all;
  parts[root / "tmp"].mode = fs::perms::all | fs::perms::sticky_bit;
  parts[root / "var/tmp"].mode = fs::perms::all | fs::perms::sticky_bit;
  for (const char* link : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    const fs::path host = fs::path("/") / link;
    if (fs::is_symlink(host)) {
      add_link(parts, root / link, fs::read_symlink(host));
    } else if (fs::exists(host)) {
      throw Error(ErrorCode::unavailable, "dev_image",
                  "/" + std::string(link) +
                      " is not a link into /usr: the dev image needs a host "
                      "with merged /usr, as Debian 12 and 13 are");
    }
  }
  add_link(parts, root / "var/run", "/run");
  add_link(parts, root / "var/lock", "/run/lock");
  add_etc(parts, root / "etc");
  for (const char* folder : {"agent/data", "agent/opt/cellar/agent-host"}) {
    add_folder(parts, folder);
  }
  return parts;
}

// Of paths, kinds, modes and contents.
std::string digest_of(const Parts& parts) {
  std::string text;
  for (const auto& [path, part] : parts) {
    text += path.string() + "\n" + std::to_string(static_cast<int>(part.type)) + " " +
            std::to_string(static_cast<unsigned>(part.mode)) + "\n";
    if (part.type == fs::file_type::symlink) text += part.contents + "\n";
    if (part.type == fs::file_type::regular) text += sha256_hex(part.contents) + "\n";
  }
  return sha256_hex(text).substr(0, 16);
}

void write(const fs::path& path, const Part& part) {
  if (part.type == fs::file_type::symlink) {
    fs::create_symlink(part.contents, path);
    return;
  }
  if (part.type == fs::file_type::directory) fs::create_directory(path);
  if (part.type == fs::file_type::regular) {
    const sys::Fd file = sys::open_file(path.string(), O_WRONLY | O_CREAT | O_EXCL, 0600);
    sys::write_all(file.get(), part.contents, path.string());
  }
  fs::permissions(path, part.mode);
}

bool is_as_written(const fs::path& path, const Part& part) {
  std::error_code failure;
  const fs::file_status status = fs::symlink_status(path, failure);
  if (failure || status.type() != part.type) return false;
  if (part.type == fs::file_type::symlink) {
    return fs::read_symlink(path, failure).string() == part.contents;
  }
  if (status.permissions() != part.mode) return false;
  return part.type != fs::file_type::regular || sys::read_file(path.string()) == part.contents;
}

void note_boot(const fs::path& image) {
  sys::replace_file((image / kBoot).string(), sys::boot_id(), 0644, sys::Durable::no);
}

// Nothing of an image is synced, which takes seconds where others write much: when the machine's
// power goes, files of it may be left empty. So it is read once after each start of the machine.
bool is_whole(const fs::path& image, const Parts& parts) {
  if (sys::read_file((image / kBoot).string()) == sys::boot_id()) return true;
  for (const auto& [path, part] : parts) {
    if (!is_as_written(image / path, part)) return false;
  }
  try {
    note_boot(image);
  } catch (const Error& error) {  // Then the next start reads it again.
    if (error.code() != ErrorCode::exhausted) throw;
  }
  return true;
}

// What a spawner left that was killed at it. What one is at that lives stays: of a daemon that was
// just killed it may.
void remove_old_drafts(const fs::path& images) {
  for (const fs::directory_entry& entry : fs::directory_iterator(images)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kDraft)) continue;
    const auto words = split(std::string_view(name).substr(kDraft.size()), '-');
    const auto pid = parse_int(words[0]);
    const auto start_time = words.size() > 1 ? parse_int(words[1]) : std::nullopt;
    if (pid && start_time) {
      const sys::ProcessId writer{static_cast<pid_t>(*pid),
                                  static_cast<std::uint64_t>(*start_time)};
      if (sys::identify(writer.pid) == writer) continue;
    }
    try {
      sys::remove_tree(entry.path().string());
    } catch (const Error& error) {
      log::warning("{} is left: {}", entry.path().string(), error.what());
    }
  }
}

fs::path new_draft(const fs::path& images) {
  const auto self = sys::identify(::getpid());
  if (!self) throw Error(ErrorCode::internal, "/proc does not show this process");
  return images / (std::string(kDraft) + std::to_string(self->pid) + "-" +
                   std::to_string(self->start_time) + "-" + random_hex(4));
}

// The folder of the image as this host has it now.
fs::path make_dev_image(const fs::path& images, const fs::path& draft, sandbox::Rights rights) {
  const Parts parts = dev_parts();
  const fs::path final = images / ("dev-" + digest_of(parts));
  if (fs::exists(final)) {
    if (is_whole(final, parts)) return final;
    // Only a version that did not look can have given it to a cell.
    log::warning("{} has lost files since it was made: it is made anew", final.string());
    fs::rename(final, draft);
    sys::remove_tree(draft.string());
  }
  sys::make_dirs(draft.string(), 0755);
  for (const auto& [path, part] : parts) {
    const bool is_cells = *path.begin() == kRoot && rights == sandbox::Rights::user;
    const sys::FileOwner as_owner(is_cells ? sandbox::kUserIdBase : 0);
    write(draft / path, part);
  }
  note_boot(draft);
  std::error_code failure;
  fs::rename(draft, final, failure);
  // The spawner of a daemon that was just killed may still have been at it: theirs is the same.
  const bool is_there =
      failure == std::errc::directory_not_empty || failure == std::errc::file_exists;
  if (is_there) sys::remove_tree(draft.string());
  if (failure && !is_there) throw fs::filesystem_error("cannot rename", draft, final, failure);
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
  remove_old_drafts(images);
  const fs::path draft = new_draft(images);
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
