#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cell/left_out.h"
#include "search/index.h"
#include "sys/beneath.h"
#include "sys/file_image.h"
#include "sys/folder_watch.h"
#include "sys/new_file.h"
#include "sys/tree_walk.h"

namespace cellar::cell {

// The search index over a cell's /work. Before each query it reads the files that changed, so that
// a write is visible to the next query whoever made it. Which ones changed a watch tells; where
// there is none, every file's metadata is looked at (docs/internals/search.md). Where there is more
// to read than a query waits for, it is answered from what was read, and says so.
//
// Blocking and not thread-safe: for one pool job at a time. Kept in memory, and in a snapshot, from
// which only what changed since has to be read.
class WorkIndex {
 public:
  struct Options {
    search::IndexLimits limits;
    std::size_t folders_watched_max = sys::FolderWatch::kFoldersMax;
    // All files are looked at again after this long, in case that there was a change which no
    // watch tells (sys::FolderWatch), and to watch where that was not possible before.
    std::chrono::milliseconds look_again_after = std::chrono::minutes(1);
    // In a larger tree than this, who comes in next where the index is full is looked for with
    // the look above only: it would take longer than a query.
    std::size_t looked_often_max = 20'000;  // files
    // How long a query waits for what is to be looked at and read, beyond one folder and one file.
    std::chrono::milliseconds read_for = std::chrono::seconds(1);
    // An index that changes all the time is not written all the time.
    std::chrono::milliseconds save_again_after = std::chrono::minutes(1);
    search::IgnoreRules::Limits patterns;  // of .gitignore
  };
  static constexpr std::size_t kSnapshotBytesMax = std::size_t{2} << 30;
  // So many changes are not worth losing: is_worth_saving().
  static constexpr std::uint64_t kUnsavedMax = 1000;

  struct Answer {
    search::Hits hits;
    std::size_t left_out_count = 0;  // files that could match, but for the index's limits, and
                                     // those that no pattern could be compared with any more
    std::optional<double> indexing;  // the part of the files that was read; all, if absent
    bool out_of_time = false;        // a regular expression, which may match more lines
  };
  struct SymbolAnswer {
    std::vector<search::SymbolHit> symbols;
    std::optional<double> indexing;
  };

  // `work` must outlive it.
  explicit WorkIndex(const sys::BeneathDir& work) : WorkIndex(work, Options()) {}
  WorkIndex(const sys::BeneathDir& work, const Options& options)
      : work_(work), options_(options), index_(options.limits), ignored_(rules()) {}

  struct Status {
    search::IndexStats index;
    std::size_t left_out_count = 0;
    bool watching = false;  // or else each query looks at every file
    std::optional<double> indexing;
  };

  // All three have seen every change made before, but for what `indexing` says. They throw as
  // search::Index does.
  Answer query(std::string_view text, const search::QueryOptions& options);
  SymbolAnswer symbols(std::string_view name, std::size_t limit);
  Status status();
  // Looks at and reads, as long as `limit` and a folder or file more, what the last of them left.
  void read_on(std::chrono::milliseconds limit);
  bool is_complete() const noexcept { return pending_.empty() && !look_; }
  // As in an Answer.
  std::optional<double> indexing() const;

  // Comes first: takes up the snapshot in `folder`, which holds nothing else, and is made where it
  // is not there. A snapshot that is damaged or of another version is logged, and all is read anew.
  void load(const std::string& folder);
  // Writes the next snapshot, whose replace() is left to the caller: it waits for the disk. nullopt
  // where the last one holds all.
  std::optional<sys::NewFile> write_snapshot(const std::string& folder);
  bool is_worth_saving() const noexcept {
    return is_complete() && index_.change_count() - saved_change_count_ >= kUnsavedMax &&
           Clock::now() >= save_due_;
  }
  // Whether the one that was taken up is still in memory: until a quarter of it changed.
  bool holds_snapshot() const noexcept { return !snapshot_.bytes().empty(); }
  // The last one did not come to be.
  void save_failed() noexcept { saved_change_count_ = kNothing; }

  // Documents beside the files; see search::Index.
  void put_document(std::string_view name, std::string_view text);
  void remove_document(std::string_view name);
  void retain_documents(const search::Index::Keep& keep) { index_.retain_documents(keep); }

  // Gives back what watching costs the kernel; the next query looks at every file. Throws Error.
  void stop_watching();
  // How often every file was looked at.
  std::size_t look_count() const noexcept { return look_count_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Look {
    sys::TreeWalk walk;
    std::set<std::string> kept;  // files that are known, or in pending_
  };
  static constexpr std::uint64_t kNothing = UINT64_MAX;  // that was saved

  LeftOut rules() const { return LeftOut(work_, WorkScope::searched, options_.patterns); }
  void refresh();
  // What the watch tells; its files are in told_.
  sys::FolderWatch::Changes take_told();
  bool is_one_of_several_names(const std::string& path) const;
  // Files that are to be read.
  std::set<std::string> unread() const;
  // Takes up what the watch tells. False where that is not all that there is to know.
  bool follow();
  // Looks at every file once, divided where that takes long. Meanwhile nothing that the watch tells
  // is taken up: it comes after what the look found.
  void begin_look();
  void look_on(Clock::time_point end);
  void look_at(const sys::DirEntry& file);
  void end_look();
  template <typename Work>
  void try_or_look_again(Work work);
  void start_watching();
  // Watches and reads the rules of folders; `visit` is called for files that are to be searched.
  using Visit = std::function<void(const sys::DirEntry& file)>;
  // Once the patterns have become too slow, files that are known stay, and others are unknown.
  bool leaves_out_file(const std::string& path);
  bool leaves_out_folder(const std::string& path) const;
  sys::BeneathDir::Visitor visitor(Visit visit);
  // Looks at the files below one folder.
  void scan(const std::string& folder, Visit visit);
  void read_until(Clock::time_point end);
  void take_in(const std::string& path);
  std::size_t left_out_count() const noexcept { return unknown_count_ + index_.left_out_count(); }

  const sys::BeneathDir& work_;
  const Options options_;
  sys::FileImage snapshot_;  // in which parts of the index lie
  search::Index index_;
  std::uint64_t saved_change_count_ = 0;
  std::optional<sys::FolderWatch> watch_;
  LeftOut ignored_;                  // of the folders that were looked at
  std::deque<std::string> pending_;  // files to read
  std::set<std::string> told_;       // that the watch told, and are not in pending_
  bool had_several_names_ = false;   // some file, at the last look or since
  Clock::time_point save_due_;       // at the earliest
  std::size_t unknown_count_ = 0;    // files beyond the number that the index remembers, and
                                     // those of slow patterns
  std::optional<Look> look_;         // that is under way
  std::size_t looked_at_count_ = 0;  // files, by the last look
  std::size_t look_count_ = 0;
  Clock::time_point look_due_;
  Clock::time_point watch_due_;
};

}  // namespace cellar::cell
