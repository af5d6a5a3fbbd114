#include "search/ranking.h"

#include <algorithm>
#include <unordered_map>

#include "base/utf8.h"
#include "search/filter.h"
#include "search/path_rank.h"

namespace cellar::search {
namespace {

// The weights of the fields' scores, each divided by its maximum. Measured, see bench/.
constexpr float kVectorWeight = .7F;
constexpr float kSymbolFieldWeight = .15F;
constexpr float kFileFieldWeight = .15F;
constexpr float kDefinitionBoost = 2.0F;         // The query is a symbol that the chunk defines.
constexpr float kDefinitionInProseBoost = 1.0F;  // It is one word of the query.
constexpr float kFileOfSymbolFactor = 1.5F;      // And the file is named after it.
constexpr float kPathBoost = 1.1F;
constexpr float kSumWeight = .6F;
constexpr std::size_t kNearestConsidered = 100;
constexpr float kCosineMin = .2F;  // Below it a chunk is about something else.
constexpr std::size_t kChunksConsidered = 60;
constexpr std::size_t kChunksPerHit = 6;  // Enough to fill a long answer.

void scale_to_max(std::vector<float>& scores, float weight) {
  const auto max = std::max_element(scores.begin(), scores.end());
  if (max == scores.end() || *max <= 0) return;
  const float factor = weight / *max;
  for (float& score : scores) score *= factor;
}

// For the few rows of a query: a Tally has room for all there are.
std::vector<RowCount> count(std::vector<RowId> rows) {
  std::sort(rows.begin(), rows.end());
  std::vector<RowCount> counts;
  for (const RowId row : rows) {
    if (counts.empty() || counts.back().id != row) counts.push_back({row, 0});
    ++counts.back().count;
  }
  return counts;
}

}  // namespace

Ranking::Ranking(const Index& index, const Query& query, const QueryOptions& options)
    : index_(index), query_(query), options_(options) {
  const Filter filter(options.paths, options.languages);
  if (filter.is_open()) return;
  for (const auto& file : index_.files_) {
    wanted_files_.push_back(file.alive && filter.passes(file.meta.path, file.language.name));
  }
}

bool Ranking::is_wanted(DocId chunk) const {
  return wanted_files_.empty() || wanted_files_[index_.chunks_[chunk].file];
}

void Ranking::drop_unwanted(std::vector<float>& scores) const {
  if (wanted_files_.empty()) return;
  for (DocId chunk = 0; chunk < scores.size(); ++chunk) {
    if (!is_wanted(chunk)) scores[chunk] = 0;
  }
}

std::vector<VectorField::Near> Ranking::nearest() const {
  std::vector<RowId> rows;
  for (const auto& word : query_.words) append_rows_of(word, rows);
  return index_.vectors_.nearest(vector_of(count(std::move(rows))), kNearestConsidered, kCosineMin,
                                 [&](DocId chunk) { return is_wanted(chunk); });
}

// The nearest chunk counts 1. The farthest that is considered counts 0: the last of as many as are
// considered, or in a small tree, which has fewer, one that is only just about the query.
void Ranking::add_nearest() {
  const auto near = nearest();
  if (near.empty()) return;
  const bool is_full = near.size() == kNearestConsidered;
  const float farthest = is_full ? near.back().cosine : kCosineMin;
  const float range = near.front().cosine - farthest;
  for (const auto& [chunk, cosine] : near) {
    scores_[chunk] += kVectorWeight * (range > 0 ? (cosine - farthest) / range : 1);
  }
}

void Ranking::fuse_fields() {
  std::vector<TermId> terms;
  for (const auto& identifier : query_.identifiers) index_.vocabulary_.find(identifier, terms);

  index_.text_field_.score(terms, scores_);
  drop_unwanted(scores_);
  scale_to_max(scores_, 1);

  std::vector<float> symbols(index_.chunks_.size(), 0);
  index_.symbol_field_.score(terms, symbols);
  drop_unwanted(symbols);
  scale_to_max(symbols, kSymbolFieldWeight);

  std::vector<float> files(index_.files_.size(), 0);
  index_.file_field_.score(terms, files);
  for (std::size_t file = 0; file < wanted_files_.size(); ++file) {
    if (!wanted_files_[file]) files[file] = 0;
  }
  scale_to_max(files, kFileFieldWeight);

  if (options_.mode == Mode::automatic) add_nearest();
  for (DocId chunk = 0; chunk < scores_.size(); ++chunk) {
    // A chunk is found by its own words and its own meaning only.
    if (scores_[chunk] > 0) scores_[chunk] += symbols[chunk] + files[index_.chunks_[chunk].file];
  }
}

void Ranking::boost_symbols() {
  for (const auto& symbol : query_.symbols) {
    std::vector<TermId> terms;
    index_.vocabulary_.find(symbol, terms);
    if (terms.empty()) continue;
    // The last term is the whole name.
    index_.symbol_field_.for_each_doc(terms.back(), [&](DocId doc) {
      if (!is_wanted(doc)) return;
      const auto& row = index_.chunks_[doc];
      const auto& file = index_.files_[row.file];
      for (std::uint32_t i = 0; i < row.symbol_count; ++i) {
        const Symbol& defined = index_.symbols_[row.first_symbol + i];
        if (file.text.compare(defined.begin, defined.size, symbol) != 0) continue;
        float boost = query_.symbol_query ? kDefinitionBoost : kDefinitionInProseBoost;
        if (same_name(stem_of_path(file.meta.path), symbol)) boost *= kFileOfSymbolFactor;
        scores_[doc] += boost;
        break;
      }
    });
  }
}

void Ranking::boost_paths() {
  if (query_.symbol_query) return;
  constexpr float kUnknown = -1;
  std::vector<float> boosts(index_.files_.size(), kUnknown);
  for (DocId chunk = 0; chunk < scores_.size(); ++chunk) {
    if (scores_[chunk] <= 0) continue;
    const auto file = index_.chunks_[chunk].file;
    if (boosts[file] < 0) {
      boosts[file] = kPathBoost * path_match(query_, index_.files_[file].path_words);
    }
    scores_[chunk] += boosts[file];
  }
}

std::vector<Ranking::ScoredChunk> Ranking::best_chunks(std::size_t count) const {
  std::vector<ScoredChunk> found;
  for (DocId chunk = 0; chunk < scores_.size(); ++chunk) {
    if (scores_[chunk] > 0) found.push_back({chunk, scores_[chunk]});
  }
  const auto better = [](const ScoredChunk& a, const ScoredChunk& b) {
    return a.score != b.score ? a.score > b.score : a.chunk < b.chunk;
  };
  count = std::min(count, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end(),
                    better);
  found.resize(count);
  return found;
}

std::vector<Ranking::ScoredFile> Ranking::order_files(
    const std::vector<ScoredChunk>& chunks) const {
  std::vector<ScoredFile> files;
  std::unordered_map<std::uint32_t, std::size_t> place;
  for (const ScoredChunk& chunk : chunks) {
    const auto id = index_.chunks_[chunk.chunk].file;
    const auto [at, is_new] = place.emplace(id, files.size());
    if (is_new) files.push_back({id, 0, {}});
    files[at->second].chunks.push_back(chunk);
    files[at->second].score += chunk.score;  // The sum, for now.
  }
  float largest_sum = 0;
  for (const ScoredFile& file : files) largest_sum = std::max(largest_sum, file.score);
  for (ScoredFile& file : files) {
    const auto& entry = index_.files_[file.file];
    file.score = file.chunks.front().score + kSumWeight * file.score / largest_sum;
    file.score *= path_penalty(query_, entry.meta.path,
                               entry.defines ? Defines::something : Defines::nothing);
  }
  std::sort(files.begin(), files.end(), [&](const ScoredFile& a, const ScoredFile& b) {
    if (a.score != b.score) return a.score > b.score;
    return index_.files_[a.file].meta.path < index_.files_[b.file].meta.path;
  });
  return files;
}

Hit Ranking::to_hit(const ScoredChunk& chunk, float score) const {
  const auto& row = index_.chunks_[chunk.chunk];
  const auto& file = index_.files_[row.file];
  const std::string_view text = file.text;
  Hit hit;
  hit.path = as_utf8(file.meta.path);
  hit.content = as_utf8(text.substr(row.range.begin, row.range.end - row.range.begin));
  hit.score = static_cast<double>(score);
  hit.start_line = row.range.start_line;
  hit.end_line = row.range.end_line;
  hit.language = file.language.name;
  for (std::uint32_t i = 0; i < row.symbol_count; ++i) {
    const Symbol& symbol = index_.symbols_[row.first_symbol + i];
    const std::string_view name = text.substr(symbol.begin, symbol.size);
    const bool asked =
        std::find(query_.symbols.begin(), query_.symbols.end(), name) != query_.symbols.end();
    if (asked || hit.symbol.empty()) hit.symbol = name;
    if (asked) break;
  }
  return hit;
}

Hits Ranking::best() {
  const std::size_t limit = std::min(options_.limit, kHitsMax);
  const std::size_t per_file = std::max<std::size_t>(options_.chunks_per_file.value_or(1), 1);
  scores_.assign(index_.chunks_.size(), 0);
  if (options_.mode == Mode::semantic) {
    add_nearest();
  } else {
    fuse_fields();
    boost_symbols();
    boost_paths();
  }
  const auto chunks = best_chunks(std::max(kChunksConsidered, limit * kChunksPerHit));
  Hits hits;
  for (const ScoredFile& file : order_files(chunks)) {
    std::size_t taken = 0;
    for (const ScoredChunk& chunk : file.chunks) {
      if (hits.size() == limit) return hits;
      if (taken++ == per_file) break;
      // Within a file the order is the chunks' own; the best one stands for the file.
      const float score = file.score * chunk.score / file.chunks.front().score;
      hits.push_back(to_hit(chunk, score));
    }
  }
  return hits;
}

Hits Index::query(std::string_view text, const QueryOptions& options) const {
  if (options.mode == Mode::regex) return query_regex(text, options).hits;
  const Query query = parse_query(text);
  return Ranking(*this, query, options).best();
}

}  // namespace cellar::search
