#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "journal/storage.h"

namespace cellar::journal {

// A disk in memory, for tests, that loses power and fails as real ones do. What was not synced when
// the power went is kept or lost in pieces: sectors of each write, and single names of a folder,
// each by itself, in whatever order. A file whose sync failed reads as if nothing had happened,
// later syncs of it succeed, and what the first one should have made durable is gone with the next
// power loss: so do ext4 and XFS.
//
// Only calls that change something are counted. Not thread-safe. A copy is another disk with the
// same contents; files that are open belong to the disk they were opened on.
class SimStorage : public Storage {
 public:
  // Disks write 512 bytes or 4096 at once.
  explicit SimStorage(std::size_t sector_bytes = 512) : sector_bytes_(sector_bytes) {}

  // The power goes during the `call`-th call from now on, 1 being the next: it and all later ones
  // throw Error `unavailable`.
  void lose_power_at(int call);
  bool lost_power() const noexcept { return power_lost_; }
  // The `call`-th call from now on fails with `error` (an errno); a write has done half by then.
  // 0 takes the fault back.
  void fail_at(int call, int error);
  // The same, and every later call too: a full disk, or one that has become read-only.
  void fail_from(int call, int error);
  // All files together have so many bytes at most; a write beyond it does what fits and fails with
  // ENOSPC.
  void limit_room(std::size_t bytes) { room_bytes_ = bytes; }
  // The `call`-th read of a file's contents from now on fails with `error`. 0 takes it back.
  void fail_read_at(int call, int error);
  bool has_failed() const noexcept { return has_failed_; }

  // What would be kept or lost now, in the order in which it was done.
  std::size_t unsynced_count() const noexcept { return unsynced_.size(); }
  // Brings the power back (taking it away first where it is on). Of the unsynced pieces, those that
  // `keep` says yes to are on the disk. Faults that were asked for are forgotten.
  void restore_power(const std::function<bool(std::size_t)>& keep);
  // The first `kept` of them.
  void restore_power(std::size_t kept);

  // The contents of a file, and a file put there as by somebody else, durable.
  std::string contents(const std::string& name) const;
  void put(const std::string& name, const std::string& bytes);
  bool has(const std::string& name) const { return names_.contains(name); }

  std::vector<std::string> list(const std::string& name) const override;
  std::vector<std::string> list_folders(const std::string& name) const override;
  std::unique_ptr<File> create(const std::string& name) override;
  std::unique_ptr<File> open(const std::string& name) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& name) override;
  void make_folder(const std::string& name) override;
  void sync_names(const std::string& name) override;

 private:
  class SimFile;
  using FileId = std::uint32_t;
  static constexpr FileId kFolder = 0;
  static constexpr FileId kNothing = 0xffffffff;
  using Names = std::map<std::string, FileId>;

  struct Data {
    std::string seen;     // with what is not synced
    std::string on_disk;  // without
  };
  // Part of a write to `file`, or names that change together in `folder`.
  struct Unsynced {
    FileId file = kNothing;
    std::uint64_t offset = 0;
    std::string bytes;
    bool is_forgotten = false;  // its sync failed: no later one helps
    std::string folder;
    std::vector<std::pair<std::string, FileId>> names;
  };
  enum class Fault : std::uint8_t { none, power, error };
  enum class Failing : std::uint8_t { once, from_then_on };

  Fault next_call();
  void require_power() const;
  void next_read();
  std::vector<std::string> names_in(const std::string& folder, bool (*is_meant)(FileId)) const;
  void change_names(const std::string& folder, std::vector<std::pair<std::string, FileId>> names);
  static void apply(Names& names, const Unsynced& change);
  static void overlay(std::string& data, std::uint64_t offset, const std::string& bytes);
  void write(FileId file, std::uint64_t offset, std::string_view bytes);
  void sync(FileId file);

  std::size_t used_bytes() const;

  std::size_t sector_bytes_;
  std::size_t room_bytes_ = std::numeric_limits<std::size_t>::max();
  std::vector<Data> files_ = std::vector<Data>(1);  // by FileId; the first stands for folders
  Names names_;
  Names names_on_disk_;
  std::vector<Unsynced> unsynced_;
  int calls_until_power_loss_ = 0;  // 0: never
  int calls_until_error_ = 0;
  int reads_until_error_ = 0;
  int error_ = 0;
  Failing failing_ = Failing::once;
  bool power_lost_ = false;
  bool has_failed_ = false;
};

}  // namespace cellar::journal
