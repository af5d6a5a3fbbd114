#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "search/index.h"
#include "sys/beneath.h"

namespace cellar::cell {

// The search index over a cell's /work. Before each query it looks at every file's metadata and
// reads those that changed, so that a write is visible to the next query whoever made it.
//
// Blocking and not thread-safe: for one pool job at a time. Kept in memory; the first query after a
// start of the daemon reads all.
class WorkIndex {
 public:
  struct Answer {
    search::Hits hits;
    std::size_t left_out_count = 0;  // files that could match, but for the index's limits
  };

  // `work` must outlive it.
  explicit WorkIndex(const sys::BeneathDir& work, const search::IndexLimits& limits = {})
      : work_(work), index_(limits) {}

  struct Status {
    search::IndexStats index;
    std::size_t left_out_count = 0;
  };

  // All three have seen every change made before. They throw as search::Index does.
  Answer query(std::string_view text, const search::QueryOptions& options);
  std::vector<search::SymbolHit> symbols(std::string_view name, std::size_t limit);
  Status status();

  // Documents beside the files; see search::Index.
  void put_document(std::string_view name, std::string_view text);
  void remove_document(std::string_view name);

 private:
  void refresh();
  // Looks at every file once, and says how many of those it knew are there no longer.
  std::size_t look();
  std::size_t left_out_count() const noexcept { return unknown_count_ + index_.left_out_count(); }

  const sys::BeneathDir& work_;
  search::Index index_;
  std::size_t unknown_count_ = 0;  // files beyond the number that the index remembers
};

}  // namespace cellar::cell
