#include "journal/blobs.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/random.h"
#include "base/sha256.h"
#include "journal/unfinished.h"

namespace cellar::journal {
namespace {

constexpr char kFolder[] = "blobs";

std::string shelf_of(const std::string& digest) {
  return std::string(kFolder) + "/" + digest.substr(0, 2);
}
std::string name_of(const std::string& digest) { return shelf_of(digest) + "/" + digest; }

// The digest comes from a record and becomes a path.
bool is_digest(std::string_view text) {
  return text.size() == 2 * kDigestBytes &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

[[noreturn]] void throw_damaged(const BlobRef& blob, const std::string& what) {
  throw Error(ErrorCode::corrupt, "journal_corrupt", "blob " + blob.digest + " " + what);
}

}  // namespace

BlobRef put_blob(Storage& storage, std::string_view bytes) {
  const BlobRef blob{.digest = sha256_hex(bytes), .size_bytes = bytes.size()};
  const std::string name = name_of(blob.digest);
  const auto there = storage.open(name);
  // What has the name already had its contents durable before; the name itself may not be yet.
  if (!there || there->size() != bytes.size() || there->read_at(0, bytes.size()) != bytes) {
    storage.make_folder(shelf_of(blob.digest));
    const std::string temporary = "blob-" + random_hex(6) + ".tmp";  // remove_leftovers() finds it
    fault_point("blob.before_write");
    const auto file = storage.create(temporary);
    Unfinished unfinished(storage, temporary);
    file->write_at(0, bytes);
    fault_point("blob.before_sync");
    file->sync();
    fault_point("blob.before_rename");
    storage.rename(temporary, name);
    unfinished.finish();
  }
  fault_point("blob.before_names_sync");
  storage.sync_names(shelf_of(blob.digest));
  storage.sync_names(kFolder);
  storage.sync_names("");
  fault_point("blob.after_names_sync");
  return blob;
}

std::string get_blob(Storage& storage, const BlobRef& blob) {
  if (!is_digest(blob.digest)) throw_damaged(blob, "has a name that is no digest");
  const auto file = storage.open(name_of(blob.digest));
  if (!file) throw_damaged(blob, "is missing");
  if (file->size() != blob.size_bytes) throw_damaged(blob, "has not the size its record says");
  std::string bytes = file->read_at(0, blob.size_bytes);
  if (sha256_hex(bytes) != blob.digest) throw_damaged(blob, "does not hold what its name says");
  return bytes;
}

void BlobUses::add(Lsn lsn, const BlobRef& blob) {
  Use& use = uses_[blob.digest];
  bytes_ += blob.size_bytes - use.bytes;
  use = {.newest = lsn, .bytes = blob.size_bytes};
}

std::vector<std::string> BlobUses::drop_before(Lsn first) {
  std::vector<std::string> unused;
  std::erase_if(uses_, [&](const auto& use) {
    if (use.second.newest >= first) return false;
    bytes_ -= use.second.bytes;
    unused.push_back(use.first);
    return true;
  });
  return unused;
}

void remove_blobs(Storage& storage, const std::vector<std::string>& digests) {
  for (const std::string& digest : digests) {
    if (!is_digest(digest)) continue;
    fault_point("trim.before_blob_remove");
    storage.remove(name_of(digest));
  }
}

void remove_blobs_but(Storage& storage, const BlobUses& uses) {
  for (const std::string& shelf : storage.list_folders(kFolder)) {
    std::vector<std::string> digests = storage.list(std::string(kFolder) + "/" + shelf);
    std::erase_if(digests, [&](const std::string& digest) { return uses.has(digest); });
    remove_blobs(storage, digests);
  }
}

}  // namespace cellar::journal
