#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cell/work_walk.h"
#include "search/filter.h"
#include "search/glob.h"
#include "search/regex.h"

// Files by their names, and lines by what is in them, as they are on the disk at that moment. Both
// work in slices, so that others have their turn. Not thread-safe; blocking.
namespace cellar::cell {

struct GlobRequest {
  static constexpr std::size_t kFilesDefault = 1000;
  static constexpr std::size_t kFilesMax = 10'000;

  std::string pattern;
  std::string path = ".";
  std::size_t limit = kFilesDefault;
  WorkScope scope = WorkScope::searched;
};

struct GlobAnswer {
  std::vector<sys::DirEntry> files;  // by path
  bool truncated = false;
};

class Globber {
 public:
  // Throws Error `invalid_argument` for a bad pattern, and as WorkWalk does. `work` must outlive
  // it.
  Globber(const sys::BeneathDir& work, const GlobRequest& request);
  // False once it is done.
  bool step();
  GlobAnswer take();

 private:
  const GlobRequest request_;
  search::Glob glob_;
  const std::string start_;       // where the pattern's paths begin, with a final '/'; "" for "."
  std::optional<WorkWalk> walk_;  // none: the pattern's own folder is not there
  GlobAnswer answer_;
};

struct GrepRequest {
  static constexpr std::size_t kMatchesDefault = 100;
  static constexpr std::size_t kMatchesMax = 10'000;
  static constexpr std::size_t kContextMax = 20;

  std::string pattern;
  std::string path = ".";
  std::vector<std::string> paths;  // only files that these name, as search has them
  bool is_literal = false;
  bool ignores_case = false;
  std::size_t context_count = 0;  // lines before and behind
  std::size_t limit = kMatchesDefault;
  WorkScope scope = WorkScope::searched;
};

struct GrepMatch {
  std::string path;
  std::size_t line = 1;
  std::string text;
  std::vector<std::string> before;
  std::vector<std::string> after;
  bool is_cut = false;  // the text is only the beginning of the line
};

struct GrepAnswer {
  std::vector<GrepMatch> matches;  // folder by folder
  std::size_t file_count = 0;      // that were searched
  std::size_t binary_count = 0;
  std::size_t too_large_count = 0;
  std::string truncated_by;  // "limit", "size", "time"; empty: this is all
};

class Grepper {
 public:
  static constexpr std::size_t kFileBytesMax = 16 << 20;
  static constexpr std::size_t kLineBytesMax = 1000;       // that are shown of a line
  static constexpr std::size_t kAnswerBytesMax = 4 << 20;  // of all lines
  static constexpr std::chrono::seconds kTimeMax{10};

  // Throws Error `invalid_argument` for a bad pattern, and as WorkWalk does. `work` must outlive
  // it.
  Grepper(const sys::BeneathDir& work, const GrepRequest& request,
          std::chrono::milliseconds time_max = kTimeMax);
  // One folder's names, or one file, more. False once it is done.
  bool step();
  GrepAnswer take() { return std::move(answer_); }

 private:
  void search_file(const std::string& path);
  void search_text(const std::string& path, std::string_view text);
  void add(const std::string& path, std::string_view text, std::size_t line_begin,
           std::size_t line_number);

  const sys::BeneathDir& work_;
  const GrepRequest request_;
  search::Regex regex_;
  search::Filter filter_;
  std::optional<WorkWalk> walk_;   // none: a single file
  std::deque<std::string> files_;  // to search
  std::chrono::steady_clock::time_point end_;
  std::size_t answer_bytes_ = 0;
  GrepAnswer answer_;
};

}  // namespace cellar::cell
