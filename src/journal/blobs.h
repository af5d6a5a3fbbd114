#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "journal/records.h"
#include "journal/storage.h"

// Values outside the records: files named by the SHA-256 of what they hold, "blobs/ab/<digest>".
namespace cellar::journal {

// Stores `bytes`, durable when this returns. What is there already, whole, is left alone. Throws
// Error.
BlobRef put_blob(Storage& storage, std::string_view bytes);

// The bytes of the blob. Throws Error `corrupt` where it is gone or holds something else.
std::string get_blob(Storage& storage, const BlobRef& blob);

// Which blobs the records of a journal name.
class BlobUses {
 public:
  void add(Lsn lsn, const BlobRef& blob);
  // Forgets the records before `first`; the digests that no later one names.
  std::vector<std::string> drop_before(Lsn first);
  bool has(const std::string& digest) const { return uses_.contains(digest); }
  // Of all of them, each once.
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  struct Use {
    Lsn newest = 0;  // record that names it
    std::uint64_t bytes = 0;
  };
  std::map<std::string, Use> uses_;  // by digest
  std::uint64_t bytes_ = 0;
};

// Removes the blobs of these digests; a crash may leave some of them. Throws Error.
void remove_blobs(Storage& storage, const std::vector<std::string>& digests);
// Removes all blobs that are not in use: what crashes left. Throws Error.
void remove_blobs_but(Storage& storage, const BlobUses& uses);

}  // namespace cellar::journal
