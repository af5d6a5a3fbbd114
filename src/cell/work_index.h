#pragma once

#include <string>
#include <string_view>

#include "json/value.h"
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
  // `work` must outlive it.
  explicit WorkIndex(const sys::BeneathDir& work) : work_(work) {}

  search::Hits query(std::string_view text, std::size_t limit);

  // Documents beside the files; see search::Index.
  void put_document(std::string_view name, std::string_view text);

 private:
  void refresh();

  const sys::BeneathDir& work_;
  search::Index index_;
};

// [{path, content, score, start_line, end_line, symbol?, language?}], as REST and ctx give it.
json::Value to_json(const search::Hits& hits);

}  // namespace cellar::cell
