#include "checkpoint/store.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "sys/directory.h"
#include "sys/disk_use.h"
#include "sys/file.h"
#include "sys/positioned.h"

namespace cellar::checkpoint {
namespace {

constexpr std::size_t kDigestDigits = 64;
constexpr std::size_t kListBytesMax = std::size_t{2} << 30;
constexpr std::string_view kNewObject = "new-";

[[noreturn]] void throw_gone(const std::string& what) {
  throw Error(ErrorCode::not_found, "checkpoint_not_found",
              what + " is not there: its checkpoint was deleted meanwhile");
}

// The file `objects` of a checkpoint.
std::string digests_of(const Head& head, const std::vector<File>& files) {
  std::vector<std::string_view> digests;
  for (const File& file : files) {
    if (!file.digest.empty()) digests.push_back(file.digest);
  }
  if (!head.database_digest.empty()) digests.push_back(head.database_digest);
  std::sort(digests.begin(), digests.end());
  digests.erase(std::unique(digests.begin(), digests.end()), digests.end());
  std::string out;
  for (const std::string_view digest : digests) out.append(digest).append("\n");
  return out;
}

}  // namespace

std::optional<Head> Store::head_of(const std::string& id) const {
  const std::string folder = made() + "/" + id;
  std::string damage = "it has no head.json";
  try {
    if (const auto text = sys::read_file(folder + "/head.json")) {
      Head head = decode_head(*text);
      if (head.id == id) return head;
      damage = "its head.json is that of another one, " + head.id;
    } else if (!sys::exists(folder)) {
      return std::nullopt;  // It was deleted at this moment.
    }
  } catch (const Error& error) {  // The others are of use all the same.
    damage = error.what();
  }
  log::error("checkpoint {}: {}", folder, damage);
  return Head{.id = id, .damage = std::move(damage)};
}

std::vector<Head> Store::heads() const {
  std::vector<Head> heads;
  for (const std::string& id : sys::folders_in(made())) {
    if (auto head = head_of(id)) heads.push_back(*std::move(head));
  }
  std::sort(heads.begin(), heads.end(), [](const Head& a, const Head& b) {
    return std::tie(a.created_at, a.id) < std::tie(b.created_at, b.id);
  });
  return heads;
}

std::vector<File> Store::files(const Head& head) const {
  if (!head.damage.empty()) {
    throw Error(ErrorCode::corrupt, "checkpoint_damaged",
                "checkpoint " + head.id + " is damaged: " + head.damage,
                "delete it; what others hold is not touched by that");
  }
  const auto bytes = sys::read_file(made() + "/" + head.id + "/files", kListBytesMax);
  if (!bytes) throw_gone("checkpoint " + head.id);
  return decode_files(*bytes);
}

std::optional<std::string> Store::read(const std::string& digest, std::size_t bytes_max) const {
  const auto file = sys::open_file_if_exists(object_path(digest), O_RDONLY);
  if (!file) throw_gone("the file " + digest.substr(0, 12));
  std::string bytes = sys::read_at(file->get(), 0, bytes_max + 1, digest);
  return bytes.size() > bytes_max ? std::nullopt : std::optional(std::move(bytes));
}

std::string Store::object_path(const std::string& digest) const {
  return objects() + "/" + digest.substr(0, 2) + "/" + digest.substr(2);
}

bool Store::has_object(const std::string& digest) const { return sys::exists(object_path(digest)); }

void Store::mark() {
  sys::make_dirs(made());
  sys::make_dirs(objects());
  sys::replace_file(marker(), "");
}

void Store::recover() {
  if (sys::exists(marker())) sweep();
}

void Store::begin(const std::string& name) {
  recover();
  const std::vector<Head> heads = this->heads();
  for (const Head& head : heads) {
    if (name.empty() || head.name != name) continue;
    throw Error(ErrorCode::already_exists, "checkpoint_exists",
                "checkpoint " + head.id + " has the name \"" + name + "\" already",
                "delete it, or take another name");
  }
  if (heads.size() >= kCheckpointsMax) {
    throw Error(ErrorCode::exhausted, "too_many_checkpoints",
                "the cell has " + std::to_string(heads.size()) + " checkpoints",
                "delete some of them");
  }
  mark();
  constexpr auto kAll = std::numeric_limits<std::uint64_t>::max();
  const sys::DiskUse used = sys::disk_use(dir_, {.inodes_max = kAll, .deep_inodes = kAll});
  used_bytes_ = used.bytes;
  object_count_ = used.inodes;
}

std::string Store::new_object() const {
  return objects() + "/" + std::string(kNewObject) + random_hex(8);
}

void Store::keep_object(const std::string& path, const std::string& digest) {
  if (++object_count_ > kObjectsMax) {
    throw Error(
        ErrorCode::exhausted, "checkpoint_quota",
        "the cell's checkpoints have more than " + std::to_string(kObjectsMax) + " different files",
        "delete some of them");
  }
  sys::make_dirs(objects() + "/" + digest.substr(0, 2));
  sys::rename_file(path, object_path(digest));
  fault_point("checkpoint.object");
}

void Store::commit(const Head& head, const std::vector<File>& files) {
  const std::string folder = dir_ + "/making-" + head.id;
  sys::make_dirs(folder);
  sys::replace_file(folder + "/files", encode(files), 0600, sys::Durable::no);
  sys::replace_file(folder + "/objects", digests_of(head, files), 0600, sys::Durable::no);
  sys::replace_file(folder + "/head.json", encode(head), 0600, sys::Durable::no);
  sys::sync_file_system(dir_);  // With all objects, and their folders.
  fault_point("checkpoint.before_commit");
  sys::rename_file(folder, made() + "/" + head.id);
  sys::sync_dir(made());
  fault_point("checkpoint.after_commit");
  sys::remove_file(marker());  // It may come back after a crash: then there is nothing to sweep.
}

void Store::abandon() { sweep(); }

void Store::remove(const std::string& id) {
  mark();
  fault_point("checkpoint.before_remove");
  sys::rename_file(made() + "/" + id, dir_ + "/gone-" + id);
  sys::sync_dir(made());
  sys::sync_dir(dir_);
  fault_point("checkpoint.after_remove");
  sweep();
}

// The digests that a checkpoint needs; nullopt where its list is not one that commit() wrote.
std::optional<std::string> Store::digests_needed(const std::string& id) const {
  const std::string path = made() + "/" + id + "/objects";
  auto digests = sys::read_file(path, kListBytesMax);
  const bool is_whole =
      digests && digests->size() % (kDigestDigits + 1) == 0 &&
      std::all_of(digests->begin(), digests->end(), [at = std::size_t{0}](char c) mutable {
        return (++at % (kDigestDigits + 1) == 0) == (c == '\n');
      });
  if (is_whole) return digests;
  log::error("{} is damaged: no file that checkpoints hold is removed while it is there", path);
  return std::nullopt;
}

// Removes all that no checkpoint needs. Where it is not known what one needs, no more than what
// belongs to none; the next time tries again.
void Store::sweep() {
  for (const std::string& folder : sys::folders_in(dir_)) {
    if (folder.starts_with("making-") || folder.starts_with("gone-")) {
      sys::remove_tree(dir_ + "/" + folder);
    }
  }
  for (const std::string& name : sys::files_in(objects())) {
    if (name.starts_with(kNewObject)) sys::remove_file(objects() + "/" + name);
  }
  std::set<std::string> unneeded;  // At most kObjectsMax.
  const std::vector<std::string> prefixes = sys::folders_in(objects());
  for (const std::string& prefix : prefixes) {
    for (const std::string& rest : sys::files_in(objects() + "/" + prefix)) {
      unneeded.insert(prefix + rest);
    }
  }
  for (const std::string& id : sys::folders_in(made())) {
    const auto digests = digests_needed(id);
    if (!digests) return;
    for (const std::string_view digest : split(*digests, '\n')) {
      if (digest.size() == kDigestDigits) unneeded.erase(std::string(digest));
    }
  }
  for (const std::string& digest : unneeded) {
    fault_point("checkpoint.sweep");
    sys::remove_file(object_path(digest));
  }
  sys::remove_file(marker());
}

}  // namespace cellar::checkpoint
