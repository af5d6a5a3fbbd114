#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "search/admission.h"
#include "search/bm25.h"
#include "search/chunker.h"
#include "search/language.h"
#include "search/query.h"
#include "search/regex.h"
#include "search/symbols.h"
#include "search/tally.h"
#include "search/vectors.h"
#include "search/vocabulary.h"

namespace cellar::search {

inline constexpr std::size_t kDocumentNameBytesMax = 4096;
inline constexpr std::size_t kHitsMax = 100;

// How much one index takes in. What comes when it is full is left out, until there is room again.
struct IndexLimits {
  std::size_t files_max = 200'000;  // Documents and files that are skipped included.
  std::size_t text_bytes_max = 256 << 20;
  std::size_t chunks_max = 2'000'000;
  // Code takes three times its text; a text in which no word comes twice, thirty times. What is
  // dead counts until it is swept out, and the text that reaches the limit is still taken in.
  std::size_t memory_bytes_max = std::size_t{1} << 30;
};

// What tells a changed file from an unchanged one. The index only keeps it.
struct FileMeta {
  std::string path;  // Relative to the tree's root.
  std::uint64_t size_bytes = 0;
  std::int64_t mtime_ns = 0;
  std::uint64_t inode = 0;
  std::int64_t ctime_ns = 0;

  bool operator==(const FileMeta&) const = default;
};

enum class Mode : std::uint8_t {
  automatic,  // By words and by meaning.
  semantic,   // By meaning only.
  lexical,    // By words only.
  regex,      // The query is a regular expression; each hit is the lines that a match is on.
};

struct QueryOptions {
  std::size_t limit = 10;  // Hits, at most kHitsMax.
  // Of one file at most; by default 1, and as many as there are for Mode::regex.
  std::optional<std::size_t> chunks_per_file;
  Mode mode = Mode::automatic;
  // For Mode::regex: how long it looks, but for one window of a Regex more.
  std::chrono::milliseconds regex_time_max{1500};
  // See Filter; empty lists are no limit.
  std::vector<std::string> paths;
  std::vector<std::string> languages;
};

// One chunk that answers a query. Text that is not UTF-8 in the file is U+FFFD here.
struct Hit {
  std::string path;
  std::string content;
  double score = 0;  // Comparable within one answer only.
  std::uint32_t start_line = 1;
  std::uint32_t end_line = 1;
  std::string symbol;         // What the chunk defines, of several the one asked for; may be empty.
  std::string_view language;  // "" if unknown.
};
using Hits = std::vector<Hit>;

struct RegexHits {
  Hits hits;
  bool out_of_time = false;  // There may be more.
};

// The place where a name is defined.
struct SymbolHit {
  std::string name;
  SymbolKind kind = SymbolKind::other;
  std::string path;
  std::uint32_t line = 1;
  std::string_view language;
};

struct IndexStats {
  std::size_t file_count = 0;     // Searchable ones; documents are not among them.
  std::size_t skipped_count = 0;  // Known, but too large, binary, minified or beyond a limit.
  std::size_t document_count = 0;
  std::size_t chunk_count = 0;
  std::size_t symbol_count = 0;
  std::size_t dead_chunk_count = 0;
  std::size_t term_count = 0;
  std::size_t text_bytes = 0;
  std::size_t memory_bytes = 0;    // About: texts, and all of a snapshot that is in use, included.
  std::size_t left_out_count = 0;  // Known files and documents that there is no room for.
};

// Full-text search over the files of one tree and over documents that have no file. Pure: bytes and
// metadata go in, ranked chunks come out. How hits are ranked: docs/internals/search.md.
//
// A changed file's chunks die and new ones are appended; the numbers that the ranking needs stay
// exact, and what is dead is dropped when it is more than a quarter.
//
// Not thread-safe; queries may run at the same time as each other. Sizes are in bytes.
class Index {
 public:
  explicit Index(const IndexLimits& limits = {});

  // Makes `text` the contents of the file; one that it has already costs nothing. A text that is
  // not worth indexing is only remembered by its metadata. Whatever the bytes are, there is an
  // answer and no exception. `index_full`: there is no room for the text, or, where find() does not
  // know the file afterwards, for another file.
  Admission put(const FileMeta& meta, std::string_view text);
  // Remembers that a file is there whose contents nobody needs to read.
  void put_skipped(const FileMeta& meta, Admission why);
  // Nothing happens where there is no such file.
  void remove(std::string_view path);
  std::optional<FileMeta> find(std::string_view path) const;
  // Whether put() would do something for this file: it is new or changed and can be remembered, or
  // it was left out and now there is room.
  bool needs(const FileMeta& meta) const;
  // Removes every file for which `keep(path)` is false, and says how many.
  using Keep = std::function<bool(const std::string& path)>;
  std::size_t retain(const Keep& keep) { return retain(file_names_, keep); }

  // Throws Error `invalid_argument` for a document's name that is empty or too long, `too_large`
  // for a text above kFileBytesMax.
  static void check_document(std::string_view name, std::string_view text);
  // Adds or replaces a document beside the files. Throws as check_document().
  Admission put_document(std::string_view name, std::string_view text);
  // False where there was none.
  bool remove_document(std::string_view name);
  // As retain(), of documents.
  std::size_t retain_documents(const Keep& keep) { return retain(document_names_, keep); }

  // The best hits first; none for a query without a word. For Mode::regex in the order of paths and
  // lines. Throws Error `invalid_argument` for a filter (Filter) or a regular expression (Regex)
  // that is none.
  Hits query(std::string_view text, const QueryOptions& options = {}) const;
  // The same for Mode::regex, and whether it ended early.
  RegexHits query_regex(std::string_view pattern, const QueryOptions& options) const;
  // In how many files and documents a regular expression is looked for: the others have not the
  // words that a match needs. Throws as query().
  std::size_t count_candidates(std::string_view pattern) const;

  // Definitions whose name is `name`, then those that begin with it, then those that hold it; case
  // and '_' do not count. At most `limit`.
  std::vector<SymbolHit> symbols(std::string_view name, std::size_t limit = 10) const;

  // All of it as bytes, in pieces or at once, and back; with the same limits as before nothing need
  // be put again. The last throws Error `corrupt` for bytes that are none, or of another
  // kSnapshotVersion: whatever they are, an index comes out that can be used, or none. The bytes
  // must stay as long as it uses_snapshot(): until so much changed that what is dead is swept out.
  void save(const SnapshotSink& sink) const;
  std::string snapshot() const;
  static Index from_snapshot(std::string_view bytes, const IndexLimits& limits = {});
  bool uses_snapshot() const noexcept { return !snapshot_.empty(); }

  IndexStats stats() const;
  // Of files, searchable or not; documents are not among them.
  std::size_t known_count() const noexcept { return file_names_.size(); }
  // How often something in it changed.
  std::uint64_t change_count() const noexcept { return change_count_; }
  std::size_t left_out_count() const noexcept { return left_out_count_; }

 private:
  friend class Ranking;
  using FileId = std::uint32_t;

  struct File {
    FileMeta meta;
    std::string_view text;
    std::unique_ptr<char[]> own_text;  // what `text` is, unless that is part of a snapshot
    Language language;
    std::vector<std::string> path_words;
    std::uint32_t first_chunk = 0;
    std::uint32_t chunk_count = 0;
    Admission admission = Admission::indexed;
    bool alive = true;
    bool defines = false;     // It has a symbol.
    bool lost_words = false;  // Not all of its words are terms: one is too long, or cut in two.
    bool document = false;
  };
  struct ChunkRow {
    Chunk range;
    FileId file = 0;
    std::uint32_t first_symbol = 0;
    std::uint32_t symbol_count = 0;
  };
  using Names = std::map<std::string, FileId>;

  void set_text(File& file, std::string_view text);
  bool has_room_for_file() const noexcept;
  bool has_room_for_text(std::size_t bytes) const noexcept;
  std::size_t memory_bytes() const noexcept;
  // Vectors of chunks by their text, of one file.
  using KnownVectors = std::map<std::string_view, Vector>;

  Admission insert(Names& names, File file, std::string_view text);
  void add_chunks(FileId id, const KnownVectors& known_vectors);
  KnownVectors vectors_of(const File& file) const;
  std::size_t retain(Names& names, const Keep& keep);
  bool erase(Names& names, const std::string& name);
  std::vector<bool> candidates(const Regex& regex) const;
  std::vector<bool> files_with_atom(std::string_view atom) const;
  const std::vector<TermCount>& count_terms(const std::vector<TermId>& terms);
  void compact_if_worth_it();
  void compact();
  void leave_snapshot();
  void load_files(SnapshotReader& in);
  void load_chunks(SnapshotReader& in);
  void require_dead_are_gone() const;

  IndexLimits limits_;
  std::string_view snapshot_;  // in which some of it may lie
  Names file_names_;
  Names document_names_;
  std::vector<File> files_;
  std::vector<ChunkRow> chunks_;
  std::vector<Symbol> symbols_;
  Vocabulary vocabulary_;
  Bm25Field text_field_;    // Documents are chunks.
  Bm25Field symbol_field_;  // Documents are chunks; of those that define something.
  Bm25Field file_field_;    // Documents are files.
  VectorField vectors_;     // Documents are chunks.
  Tally<TermId> term_tally_;
  Tally<RowId> row_tally_;
  std::size_t dead_chunk_count_ = 0;
  std::size_t dead_file_count_ = 0;
  std::size_t text_bytes_ = 0;
  std::size_t own_text_bytes_ = 0;  // of it, beside the snapshot
  std::size_t left_out_count_ = 0;
  std::uint64_t change_count_ = 0;
};

}  // namespace cellar::search
