#include "journal/blobs.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/random.h"
#include "base/sha256.h"

namespace cellar::journal {
namespace {

constexpr char kFolder[] = "blobs";

std::string shelf_of(const BlobRef& blob) {
  return std::string(kFolder) + "/" + blob.digest.substr(0, 2);
}
std::string name_of(const BlobRef& blob) { return shelf_of(blob) + "/" + blob.digest; }

// The digest comes from a record and becomes a path.
bool is_digest(std::string_view text) {
  return text.size() == 2 * kDigestBytes &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Removes a half-made file where making it fails: it may be large, and the disk full.
class Unfinished {
 public:
  Unfinished(Storage& storage, const std::string& name) : storage_(storage), name_(name) {}
  ~Unfinished() {
    if (finished_) return;
    try {
      storage_.remove(name_);
    } catch (const Error&) {  // The next opening removes it; the first failure is what is told.
    }
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  void finish() noexcept { finished_ = true; }

 private:
  Storage& storage_;
  const std::string& name_;
  bool finished_ = false;
};

[[noreturn]] void throw_damaged(const BlobRef& blob, const std::string& what) {
  throw Error(ErrorCode::corrupt, "journal_corrupt", "blob " + blob.digest + " " + what);
}

}  // namespace

BlobRef put_blob(Storage& storage, std::string_view bytes) {
  const BlobRef blob{.digest = sha256_hex(bytes), .size_bytes = bytes.size()};
  const std::string name = name_of(blob);
  const auto there = storage.open(name);
  // What has the name already had its contents durable before; the name itself may not be yet.
  if (!there || there->size() != bytes.size() || there->read_at(0, bytes.size()) != bytes) {
    storage.make_folder(shelf_of(blob));
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
  storage.sync_names(shelf_of(blob));
  storage.sync_names(kFolder);
  storage.sync_names("");
  fault_point("blob.after_names_sync");
  return blob;
}

std::string get_blob(Storage& storage, const BlobRef& blob) {
  if (!is_digest(blob.digest)) throw_damaged(blob, "has a name that is no digest");
  const auto file = storage.open(name_of(blob));
  if (!file) throw_damaged(blob, "is missing");
  if (file->size() != blob.size_bytes) throw_damaged(blob, "has not the size its record says");
  std::string bytes = file->read_at(0, blob.size_bytes);
  if (sha256_hex(bytes) != blob.digest) throw_damaged(blob, "does not hold what its name says");
  return bytes;
}

}  // namespace cellar::journal
