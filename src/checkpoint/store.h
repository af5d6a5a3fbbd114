#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/record.h"
#include "sys/fd.h"

namespace cellar::checkpoint {

// The checkpoints of one cell on disk:
//
//   unfinished        exists while something is made or deleted
//   made/<id>/        head.json, files, objects (the digests that it needs, sorted, a line each)
//   objects/ab/<…62>  the bytes of all files whose SHA-256 begins with ab, once each
//   making-<id>/, gone-<id>/, objects/new-…   what is not there yet, or not any more
//
// A checkpoint is there once its folder is in `made`, by one rename after all of it is on the disk,
// and gone by one rename, too. What a crash leaves besides is removed by recover().
//
// Blocking. Changes come one at a time; heads(), files() and read() may be called at any time by
// any thread. Throws Error.
class Store {
 public:
  static constexpr std::size_t kCheckpointsMax = 100;
  static constexpr std::uint64_t kObjectsMax = 500'000;

  explicit Store(std::string dir) : dir_(std::move(dir)) {}

  // Oldest first, behind those that are damaged. None where nothing was ever made.
  std::vector<Head> heads() const;
  // Throws Error `not_found`, reason `checkpoint_not_found`, also where it was deleted meanwhile,
  // and `corrupt`, reason `checkpoint_damaged`.
  std::vector<File> files(const Head& head) const;
  // The bytes of a file; nullopt where they are larger than `bytes_max`. Throws as files().
  std::optional<std::string> read(const std::string& digest, std::size_t bytes_max) const;

  // Removes what was begun and not finished. Quick where nothing was.
  void recover();

  // ---- making one: begin(), then objects, then commit() or abandon() ----
  // Throws Error `exhausted`, reason `too_many_checkpoints`, and `already_exists`, reason
  // `checkpoint_exists`, where another one has the name.
  void begin(const std::string& name);
  // What all checkpoints have on the disk already.
  std::uint64_t used_bytes() const noexcept { return used_bytes_; }
  bool has_object(const std::string& digest) const;
  // The path of a new file that takes the bytes of one, and what makes it the object of that
  // digest.
  std::string new_object() const;
  void keep_object(const std::string& path, const std::string& digest);
  // Durable when it returns: the checkpoint is there.
  void commit(const Head& head, const std::vector<File>& files);
  void abandon();

  // Durable when it returns; false where there is none. `id` must be one of heads().
  void remove(const std::string& id);

 private:
  std::string made() const { return dir_ + "/made"; }
  std::string objects() const { return dir_ + "/objects"; }
  std::string marker() const { return dir_ + "/unfinished"; }
  std::optional<Head> head_of(const std::string& id) const;
  std::optional<std::string> digests_needed(const std::string& id) const;
  std::string object_path(const std::string& digest) const;
  void mark();
  void sweep();
  void finish();

  std::string dir_;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t object_count_ = 0;
};

}  // namespace cellar::checkpoint
