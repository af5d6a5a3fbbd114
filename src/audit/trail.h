#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "audit/entry.h"
#include "sys/fd.h"

namespace cellar::audit {

// The files of an audit log in a folder: "<number of its first line, 20 digits>.jsonl", each line
// with the hash of the one before, also over the files' ends; and head.json, which says where the
// chain begins and how far it came.
//
// Blocking, not thread-safe: for one pool job at a time. Throws Error.
class Trail {
 public:
  // What is kept; the newest file is in any case.
  struct Limits {
    std::chrono::seconds retention{0};  // of files whose newest line is older; 0: for ever
    std::uint64_t bytes_max = 0;        // of all files; 0: any
  };
  struct Options {
    std::uint64_t file_bytes_max = 16 << 20;
    Limits limits;
  };

  // The folder is made where there is none.
  Trail(std::string dir, Options options);

  // Appends the entries; they are durable when this returns. After a failure the files hold some of
  // them or none: entries are appended again by the next call, to what is there.
  void append(const std::vector<Entry>& entries);
  // Removes the oldest files, as far as the limits say.
  void trim(WallTime now, const Limits& limits);

  // Lines behind `after`, oldest first, as they are.
  struct Page {
    std::vector<std::string> lines;
    Seq last = 0;  // go on behind it
    bool more = false;
  };
  Page read(Seq after, std::size_t limit) const;

 private:
  void recover();
  void rotate();
  void write_head() const;
  bool is_beyond(std::string_view newest_line, WallTime now, const Limits& limits) const;

  std::string dir_;
  Options options_;
  bool is_known_ = false;  // what is on disk
  Link before_;            // before the first line that is kept
  Link last_;
  std::optional<sys::Fd> file_;
  std::uint64_t file_bytes_ = 0;
};

// What a check of the files found. No problem: the lines are those that were written, in their
// order, as far as a chain can tell (docs/guide/operating.md).
struct Verdict {
  Seq first = 0;  // 0: there is none
  Link last;
  std::string problem;             // the first one, with its place; empty: none
  std::vector<std::string> notes;  // what is no problem, and worth knowing
};
// `expected` is a link that was written down elsewhere: the chain must have it. Blocking. Throws
// Error for files that cannot be read.
Verdict verify(const std::string& dir, const std::optional<Link>& expected = std::nullopt);

}  // namespace cellar::audit
