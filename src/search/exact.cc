// What is found letter by letter: regular expressions, and names of definitions.

#include <algorithm>
#include <chrono>

#include "base/utf8.h"
#include "search/filter.h"
#include "search/index.h"
#include "search/path_rank.h"
#include "search/query.h"
#include "search/regex.h"
#include "search/words.h"

namespace cellar::search {
namespace {

std::size_t line_begin(std::string_view text, std::size_t at) {
  const auto newline = at == 0 ? text.npos : text.rfind('\n', at - 1);
  return newline == text.npos ? 0 : newline + 1;
}

std::size_t line_end(std::string_view text, std::size_t at) {
  return std::min(text.find('\n', at), text.size());
}

std::uint32_t count_lines(std::string_view text) {
  return static_cast<std::uint32_t>(std::count(text.begin(), text.end(), '\n'));
}

// Letters and digits, lower case: as same_name() compares.
std::string bare(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != '_' && c != '-') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return out;
}

// The last part of "a::b", "a.b", "a#b", "a->b".
std::string_view last_part(std::string_view name) {
  const auto at = name.find_last_of(":.#>\\");
  return at == name.npos ? name : name.substr(at + 1);
}

enum class Fit : std::uint8_t { exact, same, beginning, part, none };

Fit fit_of(std::string_view name, std::string_view wanted, const std::string& bare_wanted) {
  if (name == wanted) return Fit::exact;
  const std::string bare_name = bare(name);
  const auto at = bare_name.find(bare_wanted);
  if (at == std::string::npos) return Fit::none;
  if (at > 0) return Fit::part;
  return bare_name.size() == bare_wanted.size() ? Fit::same : Fit::beginning;
}

// Runs of ASCII letters, digits and '_' in an atom that say something, the longest first.
std::vector<std::string_view> parts_of_atom(std::string_view atom) {
  const auto is_part = [](char c) {
    return is_word_byte(c) && static_cast<unsigned char>(c) < 0x80;
  };
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at < atom.size(); ++at) {
    const std::size_t begin = at;
    while (at < atom.size() && is_part(atom[at])) ++at;
    if (at > begin) parts.push_back(atom.substr(begin, at - begin));
  }
  std::sort(parts.begin(), parts.end(), [](std::string_view a, std::string_view b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  return parts;
}

}  // namespace

// Those that may hold the atom: the index knows stems of words, so that others are among them.
std::vector<bool> Index::files_with_atom(std::string_view atom) const {
  constexpr std::size_t kPartsMax = 2;  // More say hardly more.
  std::vector<bool> files(files_.size(), true);
  std::size_t count = 0;
  for (const std::string_view part : parts_of_atom(atom)) {
    std::vector<TermId> terms;
    if (!vocabulary_.find_holding(part, terms)) continue;
    std::vector<bool> with_part(files_.size());
    for (const TermId term : terms) {
      file_field_.for_each_doc(term, [&](DocId file) { with_part[file] = true; });
    }
    for (FileId id = 0; id < files.size(); ++id) files[id] = files[id] && with_part[id];
    if (++count == kPartsMax) break;
  }
  return files;
}

std::vector<bool> Index::candidates(const Regex& regex) const {
  std::vector<std::uint32_t> atoms(files_.size());  // that a file may hold, a bit each
  for (std::size_t i = 0; i < regex.atoms().size(); ++i) {
    const std::vector<bool> files = files_with_atom(regex.atoms()[i]);
    for (FileId id = 0; id < files.size(); ++id) {
      if (files[id] || files_[id].lost_words) atoms[id] |= std::uint32_t{1} << i;
    }
  }
  std::unordered_map<std::uint32_t, bool> known;
  std::vector<bool> out(files_.size());
  for (FileId id = 0; id < out.size(); ++id) {
    const auto [at, is_new] = known.try_emplace(atoms[id]);
    if (is_new) at->second = regex.can_match(atoms[id]);
    out[id] = at->second && files_[id].alive && !files_[id].text.empty();
  }
  return out;
}

std::size_t Index::count_candidates(std::string_view pattern) const {
  const std::vector<bool> files = candidates(Regex(pattern));
  return static_cast<std::size_t>(std::count(files.begin(), files.end(), true));
}

RegexHits Index::query_regex(std::string_view pattern, const QueryOptions& options) const {
  const auto end_of_time = std::chrono::steady_clock::now() + options.regex_time_max;
  const Regex regex(pattern);
  const Filter filter(options.paths, options.languages);
  const std::size_t limit = std::min(options.limit, kHitsMax);
  const std::vector<bool> is_candidate = candidates(regex);
  std::vector<const File*> files;
  for (FileId id = 0; id < files_.size(); ++id) {
    const File& file = files_[id];
    if (!is_candidate[id]) continue;
    if (filter.is_open() || filter.passes(file.meta.path, file.language.name)) {
      files.push_back(&file);
    }
  }
  std::sort(files.begin(), files.end(),
            [](const File* a, const File* b) { return a->meta.path < b->meta.path; });
  RegexHits found;
  Hits& hits = found.hits;
  const auto goes_on = [&] {
    found.out_of_time = found.out_of_time || std::chrono::steady_clock::now() >= end_of_time;
    return !found.out_of_time;
  };
  for (const File* file : files) {
    const std::string_view text = file->text;
    std::size_t of_file = 0;
    std::uint32_t line = 1;
    std::size_t counted = 0;  // `line` is the one at this place.
    for (std::size_t from = 0; from < text.size();) {
      if (hits.size() == limit) return found;
      if (of_file == options.chunks_per_file.value_or(kHitsMax)) break;
      if (!goes_on()) return found;
      const auto match = regex.find(text, from, goes_on);
      if (found.out_of_time && !match) return found;
      if (!match || match->begin == text.size()) break;  // Behind the last line is none.
      const std::size_t begin = line_begin(text, match->begin);
      const std::size_t last = match->end > match->begin ? match->end - 1 : match->end;
      const std::size_t end = line_end(text, last);
      line += count_lines(text.substr(counted, begin - counted));
      counted = begin;
      Hit hit;
      hit.path = as_utf8(file->meta.path);
      hit.content = as_utf8(text.substr(begin, std::min(end - begin, kChunkBytesMax)));
      hit.score = 1;
      hit.start_line = line;
      hit.end_line = line + count_lines(text.substr(begin, end - begin));
      hit.language = file->language.name;
      hits.push_back(std::move(hit));
      ++of_file;
      from = end + 1;
    }
  }
  return found;
}

std::vector<SymbolHit> Index::symbols(std::string_view name, std::size_t limit) const {
  struct Found {
    Fit fit;
    float penalty;
    std::size_t size;
    const ChunkRow* row;
    const Symbol* symbol;
  };
  name = last_part(name.substr(0, kIdentifierBytesMax));
  const std::string bare_name = bare(name);
  std::vector<Found> found;
  if (bare_name.empty()) return {};
  for (const ChunkRow& row : chunks_) {
    const File& file = files_[row.file];
    if (!file.alive) continue;
    for (std::uint32_t i = 0; i < row.symbol_count; ++i) {
      const Symbol& symbol = symbols_[row.first_symbol + i];
      const auto text = std::string_view(file.text).substr(symbol.begin, symbol.size);
      const Fit fit = fit_of(text, name, bare_name);
      if (fit == Fit::none) continue;
      const float penalty = path_penalty({}, file.meta.path, Defines::something);
      found.push_back({fit, penalty, symbol.size, &row, &symbol});
    }
  }
  const auto better = [&](const Found& a, const Found& b) {
    if (a.fit != b.fit) return a.fit < b.fit;
    if (a.penalty != b.penalty) return a.penalty > b.penalty;
    if (a.size != b.size) return a.size < b.size;
    const File& file_a = files_[a.row->file];
    const File& file_b = files_[b.row->file];
    if (&file_a != &file_b) return file_a.meta.path < file_b.meta.path;
    return a.symbol->begin < b.symbol->begin;
  };
  limit = std::min({limit, kHitsMax, found.size()});
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(limit), found.end(),
                    better);
  std::vector<SymbolHit> hits;
  for (std::size_t i = 0; i < limit; ++i) {
    const auto& [fit, penalty, size, row, symbol] = found[i];
    const File& file = files_[row->file];
    const std::string_view text = file.text;
    const auto before = text.substr(row->range.begin, symbol->begin - row->range.begin);
    hits.push_back({as_utf8(text.substr(symbol->begin, symbol->size)), symbol->kind,
                    as_utf8(file.meta.path), row->range.start_line + count_lines(before),
                    file.language.name});
  }
  return hits;
}

}  // namespace cellar::search
