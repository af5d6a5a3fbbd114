#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cell/work_index.h"
#include "json/reader.h"
#include "json/value.h"
#include "search/index.h"

namespace cellar::cell {

// What one search asks for, as REST and ctx say it.
struct SearchRequest {
  static constexpr std::size_t kQueryBytesMax = 64 << 10;

  std::string query;
  search::QueryOptions options;
};

// {query, limit?, mode?, paths?, languages?, chunks_per_file?}. Throws Error `invalid_argument`,
// which names the field.
SearchRequest read_search_request(const json::Reader& reader);

struct SymbolRequest {
  std::string name;
  std::size_t limit;
};
// {query, limit?}. Throws as read_search_request().
SymbolRequest read_symbol_request(const json::Reader& reader);

// [{path, content, score, start_line, end_line, symbol?, language?}]
json::Value to_json(const search::Hits& hits);
// [{name, kind, path, line, language?}]
json::Value to_json(const std::vector<search::SymbolHit>& symbols);
// Sets "indexing", the part of the files that was read so far, rounded down; nothing once that is
// all.
void set_indexing(json::Value& answer, std::optional<double> indexing);
// {files, skipped, documents, chunks, symbols, text_bytes, memory_bytes, left_out, watching,
// indexing?}
json::Value to_json(const WorkIndex::Status& status);

}  // namespace cellar::cell
