#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "search/index.h"
#include "search/query.h"

namespace cellar::search {

// One query against one index, which must outlive it: scores every chunk, then orders files by
// their chunks. The steps are those of docs/internals/search.md, in its order.
class Ranking {
 public:
  // All must outlive it. Throws as Filter does.
  Ranking(const Index& index, const Query& query, const QueryOptions& options);

  Hits best();

 private:
  struct ScoredChunk {
    DocId chunk;
    float score;
  };
  struct ScoredFile {
    std::uint32_t file;
    float score;
    std::vector<ScoredChunk> chunks;  // Best first.
  };

  bool is_wanted(DocId chunk) const;
  void drop_unwanted(std::vector<float>& scores) const;
  std::vector<VectorField::Near> nearest() const;
  void add_nearest();
  void fuse_fields();
  void boost_symbols();
  void boost_paths();
  std::vector<ScoredChunk> best_chunks(std::size_t count) const;
  std::vector<ScoredFile> order_files(const std::vector<ScoredChunk>& chunks) const;
  Hit to_hit(const ScoredChunk& chunk, float file_score) const;

  const Index& index_;
  const Query& query_;
  const QueryOptions& options_;
  std::vector<bool> wanted_files_;  // Empty where all are.
  std::vector<float> scores_;       // Per chunk; 0 is no match.
};

}  // namespace cellar::search
