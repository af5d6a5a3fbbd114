#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "sys/beneath.h"
#include "sys/tar.h"
#include "sys/tree_walk.h"

// Folders as tar archives, piece by piece both ways.
namespace cellar::sys {

struct TarCount {
  std::uint64_t files = 0;    // and links
  std::uint64_t bytes = 0;    // of the files
  std::uint64_t entries = 0;  // folders, too, also those that only lie on the way
};

// What is left out is told by its path.
using OnLeftOut = std::function<void(const std::string& path)>;

// The files, folders and links of a folder as an archive; pipes, sockets and devices are left out.
// Holds one folder's names and one piece of a file at a time. Blocking. Not thread-safe.
class TarPacker {
 public:
  static constexpr std::size_t kPieceBytes = 256 << 10;

  // Throws `not_found`.
  explicit TarPacker(BeneathDir folder, OnLeftOut on_left_out = {});
  // The next bytes, some kPieceBytes; empty once all was given. Throws Error, also where a file
  // became shorter while it was read: its header has told its size.
  std::string next();
  const TarCount& count() const noexcept { return count_; }

 private:
  void begin(const DirEntry& entry, std::string& out);
  void read_on(std::string& out);

  BeneathDir folder_;
  OnLeftOut on_left_out_;
  TreeWalk tree_;
  std::deque<DirEntry> entries_;  // of the folder where the walk is
  Fd file_;
  std::string path_;
  std::uint64_t at_ = 0;
  std::uint64_t size_ = 0;
  bool has_ended_ = false;
  TarCount count_;
};

// Makes in a folder what an archive holds. No name of it leads outside of the folder, nor through a
// link to another one; what such an entry names is not made, and all before it stays. Files belong
// to the root of the cell. Blocking. Not thread-safe.
class TarUnpacker {
 public:
  static constexpr std::uint64_t kEntriesMax = 1'000'000;

  // Whether links that lead out of the folder are made as they are, or left out.
  enum class Links : std::uint8_t { all, inside };
  struct Options {
    Links links = Links::all;
    std::uint64_t entries_max = kEntriesMax;
    OnLeftOut on_left_out;
  };
  TarUnpacker(BeneathDir folder, Options options);
  TarUnpacker(const TarUnpacker&) = delete;
  TarUnpacker& operator=(const TarUnpacker&) = delete;

  // Throws Error: `invalid_archive` as TarReader does; `invalid_argument`, reason `unsafe_archive`,
  // naming the entry, for one that would lead outside, is a device or pipe, or has no place; and
  // `too_large`, reason `archive_too_large`, above `entries_max`. Nothing may be called after that.
  void feed(std::string_view bytes) { reader_.feed(bytes); }
  // Nothing comes any more. All is durable when this returns, where that is asked for.
  void finish(Durable durable);
  const TarCount& count() const noexcept { return count_; }

 private:
  void begin(const TarEntry& entry);
  void make(const TarEntry& entry, const std::string& path);
  bool has_real_parent(const std::string& path) const;

  BeneathDir folder_;
  Options options_;
  TarReader reader_;
  std::optional<PendingFile> file_;
  TarCount count_;
};

}  // namespace cellar::sys
