#include "cell/search_json.h"

#include <cmath>

namespace cellar::cell {
namespace {

constexpr std::size_t kLimitDefault = 10;

std::string read_query(const json::Reader& reader) {
  std::string query = reader.required_string("query");
  if (query.size() > SearchRequest::kQueryBytesMax) {
    json::Reader::refuse("query", "at most 65536 bytes");
  }
  return query;
}

std::size_t read_limit(const json::Reader& reader) {
  const auto limit = reader.optional_int("limit", 1, search::kHitsMax);
  return limit ? static_cast<std::size_t>(*limit) : kLimitDefault;
}

search::Mode read_mode(const json::Reader& reader) {
  const std::string mode = reader.optional_string("mode").value_or("auto");
  if (mode == "auto") return search::Mode::automatic;
  if (mode == "semantic") return search::Mode::semantic;
  if (mode == "lexical") return search::Mode::lexical;
  if (mode == "regex") return search::Mode::regex;
  json::Reader::refuse("mode", R"("auto", "semantic", "lexical" or "regex")");
}

void set_language(json::Value& value, std::string_view language) {
  if (!language.empty()) value.as_object().set("language", language);
}

}  // namespace

SearchRequest read_search_request(const json::Reader& reader) {
  SearchRequest request;
  request.query = read_query(reader);
  auto& options = request.options;
  options.limit = read_limit(reader);
  options.mode = read_mode(reader);
  options.paths = reader.optional_strings("paths").value_or(std::vector<std::string>());
  options.languages = reader.optional_strings("languages").value_or(std::vector<std::string>());
  if (const auto count = reader.optional_int("chunks_per_file", 1, search::kHitsMax)) {
    options.chunks_per_file = static_cast<std::size_t>(*count);
  }
  return request;
}

SymbolRequest read_symbol_request(const json::Reader& reader) {
  return {read_query(reader), read_limit(reader)};
}

json::Value to_json(const search::Hits& hits) {
  json::Array list;
  for (const search::Hit& hit : hits) {
    json::Value value = json::object({{"path", hit.path},
                                      {"content", hit.content},
                                      {"score", hit.score},
                                      {"start_line", hit.start_line},
                                      {"end_line", hit.end_line}});
    if (!hit.symbol.empty()) value.as_object().set("symbol", hit.symbol);
    set_language(value, hit.language);
    list.push_back(std::move(value));
  }
  return list;
}

json::Value to_json(const std::vector<search::SymbolHit>& symbols) {
  json::Array list;
  for (const search::SymbolHit& symbol : symbols) {
    json::Value value = json::object({{"name", symbol.name},
                                      {"kind", search::to_string(symbol.kind)},
                                      {"path", symbol.path},
                                      {"line", symbol.line}});
    set_language(value, symbol.language);
    list.push_back(std::move(value));
  }
  return list;
}

void set_indexing(json::Value& answer, std::optional<double> indexing) {
  constexpr double kSteps = 100;
  if (indexing) answer.as_object().set("indexing", std::floor(*indexing * kSteps) / kSteps);
}

json::Value to_json(const WorkIndex::Status& status) {
  const search::IndexStats& index = status.index;
  json::Value value = json::object({{"files", index.file_count},
                                    {"skipped", index.skipped_count},
                                    {"documents", index.document_count},
                                    {"chunks", index.chunk_count},
                                    {"symbols", index.symbol_count},
                                    {"text_bytes", index.text_bytes},
                                    {"memory_bytes", index.memory_bytes},
                                    {"left_out", status.left_out_count},
                                    {"watching", status.watching}});
  set_indexing(value, status.indexing);
  return value;
}

}  // namespace cellar::cell
