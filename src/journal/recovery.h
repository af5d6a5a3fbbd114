#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "journal/blobs.h"
#include "journal/record_index.h"
#include "journal/segment_files.h"
#include "journal/storage.h"

namespace cellar::journal {

// What a journal is made of once it was read.
struct Recovered {
  RecordIndex index;
  BlobUses blobs;
  Lsn first_kept = 0;  // by the newest Trim: what is before it may go; 0: there is none
  std::vector<Segment> segments;
  std::unique_ptr<File> active;   // the last of them; null where there is none
  std::string chain;              // what the digest of the last of them is taken from so far
  std::uint64_t cut_bytes = 0;    // that were behind the last whole batch
  std::uint64_t spare_bytes = 0;  // of the spare that is there; 0 for none
};

// Reads all segments in `storage` and calls `visit` for every record of a whole batch, in order.
// Then cuts off what a crash left behind the last of them, and makes sure that all that was visited
// is durable, so that it may be acted upon.
//
// Throws as the constructor of Journal does. Nothing was changed then, unless the disk failed.
Recovered recover(Storage& storage, const std::string& cell_id,
                  const std::function<void(const Record&)>& visit);

}  // namespace cellar::journal
