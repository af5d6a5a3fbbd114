#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/reading.h"
#include "checkpoint/record.h"

namespace cellar::checkpoint {

enum class ChangeKind : std::uint8_t { added, deleted, modified, renamed, mode_changed };
std::string_view name_of(ChangeKind kind) noexcept;

// How a file differs. `patch` is what `git apply` takes; empty where git sees no difference.
struct Change {
  ChangeKind kind = ChangeKind::modified;
  std::optional<File> before;
  std::optional<File> after;
  bool is_binary = false;     // no text: no patch
  bool is_too_large = false;  // or its bytes are not kept: no patch
  std::optional<std::string> patch;

  const std::string& path() const noexcept { return after ? after->path : before->path; }
};

struct DiffLimits {
  std::size_t changes_max = 1000;
  std::size_t file_bytes_max = 1 << 20;                   // of a file that is shown line by line
  std::size_t patch_bytes_max = 8 << 20;                  // of all patches together
  std::uint64_t read_bytes_max = std::uint64_t{1} << 30;  // of a file that is read to compare it
  std::chrono::milliseconds time_max{10'000};
};

struct Differences {
  std::vector<Change> changes;  // in the order of a tree
  std::size_t counts[5] = {};   // by kind, also of those beyond the limit
  std::string truncated_by;     // "", or what ended it first: "changes", "bytes", "time"
};

enum class Patches : std::uint8_t { none, made };

// Compares two states of a cell's files, in small steps, so that others have their turn. A file is
// renamed where one with the same bytes, not none, is gone. Folders are told where they are empty,
// or have another mode. Blocking; not thread-safe.
class Comparison {
 public:
  // One state. A digest that is empty is not known yet: `open` gives the file, then, or nothing
  // where it is gone or no file any more. null: all that is kept has one.
  struct Side {
    std::vector<File> files;  // in order
    // The bytes; nullopt where they are more than that, or gone.
    std::function<std::optional<std::string>(const File& file, std::size_t bytes_max)> read;
    std::function<std::optional<sys::OpenFile>(const File& file)> open;
    // Of the second state, where `files` are not all of it: whether one that is not among them is
    // there all the same, so that it is not told as deleted. null: they are all.
    std::function<bool(const File& file)> hides;
  };

  Comparison(Side before, Side after, const DiffLimits& limits, Patches patches);

  // False once it is done.
  bool step();
  Differences take() { return std::move(found_); }

 private:
  enum class Phase : std::uint8_t { compare, find_renames, sort, make_patches, done };

  void compare_next();
  void compare_pair(const File& before, File& after);
  void find_rename(Change& added);
  void sort();
  void make_patch(Change& change);
  bool needs_digest(const File& before, const File& after) const;
  bool read_digest(File& file);
  void stop(const char* why);
  void add(ChangeKind kind, std::optional<File> before, std::optional<File> after);

  Side before_;
  Side after_;
  const DiffLimits limits_;
  const Patches patches_;
  const std::chrono::steady_clock::time_point end_;
  Phase phase_ = Phase::compare;
  std::size_t next_before_ = 0;
  std::size_t next_after_ = 0;
  std::size_t next_change_ = 0;
  std::size_t patch_bytes_ = 0;
  std::unique_ptr<Reading> reading_;
  std::map<std::string, std::vector<std::size_t>> deleted_;  // digest → changes
  std::map<std::uint64_t, std::size_t> deleted_sizes_;
  Differences found_;
};

}  // namespace cellar::checkpoint
