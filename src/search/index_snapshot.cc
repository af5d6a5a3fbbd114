// An index as bytes and back: docs/internals/search.md, "Snapshot".

#include "search/index.h"
#include "search/path_rank.h"
#include "search/snapshot.h"

namespace cellar::search {
namespace {

constexpr std::uint8_t kAlive = 1;
constexpr std::uint8_t kDocument = 2;
constexpr std::uint8_t kLostWords = 4;

void save_meta(const FileMeta& meta, SnapshotWriter& out) {
  out.text(meta.path);
  out.number(meta.size_bytes);
  out.number(static_cast<std::uint64_t>(meta.mtime_ns));
  out.number(meta.inode);
  out.number(static_cast<std::uint64_t>(meta.ctime_ns));
}

FileMeta load_meta(SnapshotReader& in) {
  FileMeta meta;
  meta.path = in.text();
  meta.size_bytes = in.number<std::uint64_t>();
  meta.mtime_ns = static_cast<std::int64_t>(in.number<std::uint64_t>());
  meta.inode = in.number<std::uint64_t>();
  meta.ctime_ns = static_cast<std::int64_t>(in.number<std::uint64_t>());
  return meta;
}

bool is_sound(const Chunk& chunk, std::string_view text) noexcept {
  return chunk.begin <= chunk.end && chunk.end <= text.size() && chunk.start_line >= 1 &&
         chunk.start_line <= chunk.end_line;
}

bool is_sound(const Symbol& symbol, const Chunk& chunk, std::string_view text) noexcept {
  return symbol.begin >= chunk.begin && symbol.begin <= text.size() &&
         symbol.size <= text.size() - symbol.begin && symbol.kind <= SymbolKind::other;
}

}  // namespace

void Index::save(const SnapshotSink& sink) const {
  SnapshotWriter out(sink);
  out.number(vocabulary_.size());
  out.number(static_cast<std::uint32_t>(files_.size()));
  for (const File& file : files_) {
    const int flags = (file.alive ? kAlive : 0) | (file.document ? kDocument : 0) |
                      (file.lost_words ? kLostWords : 0);
    save_meta(file.meta, out);
    out.number(static_cast<std::uint8_t>(flags));
    out.number(static_cast<std::uint8_t>(file.admission));
    out.number(file.chunk_count);
    out.text(file.text);
  }
  std::vector<Chunk> ranges;
  std::vector<std::uint32_t> symbol_counts;
  for (const ChunkRow& row : chunks_) {
    ranges.push_back(row.range);
    symbol_counts.push_back(row.symbol_count);
  }
  out.list(ranges);
  out.list(symbol_counts);
  out.number(static_cast<std::uint32_t>(symbols_.size()));
  for (const Symbol& symbol : symbols_) {
    out.number(symbol.begin);
    out.number(symbol.size);
    out.number(static_cast<std::uint8_t>(symbol.kind));
  }
  text_field_.save(out, vocabulary_.size());
  symbol_field_.save(out, vocabulary_.size());
  file_field_.save(out, vocabulary_.size());
  vectors_.save(out);
  vocabulary_.save(out);
  out.finish();
}

std::string Index::snapshot() const {
  std::string bytes;
  save([&](std::string_view piece) { bytes += piece; });
  return bytes;
}

Index Index::from_snapshot(std::string_view bytes, const IndexLimits& limits) {
  SnapshotReader in(bytes);
  Index index(limits);
  const auto term_count = in.number<std::uint32_t>();
  index.load_files(in);
  index.load_chunks(in);
  const std::size_t chunk_count = index.chunks_.size();
  index.text_field_.load(in, chunk_count, term_count);
  index.symbol_field_.load(in, chunk_count, term_count);
  index.file_field_.load(in, index.files_.size(), term_count);
  index.vectors_.load(in, chunk_count);
  index.vocabulary_.load(in);
  in.require(index.vocabulary_.size() == term_count, "the vocabulary");
  in.finish();
  index.require_dead_are_gone();
  index.snapshot_ = bytes;
  return index;
}

void Index::load_files(SnapshotReader& in) {
  constexpr std::size_t kFileBytesLeast = 54;
  const auto count = in.number<std::uint32_t>();
  files_.reserve(in.possible_count(count, kFileBytesLeast));
  for (FileId id = 0; id < count; ++id) {
    File file;
    file.meta = load_meta(in);
    const auto flags = in.number<std::uint8_t>();
    file.alive = (flags & kAlive) != 0;
    file.document = (flags & kDocument) != 0;
    file.lost_words = (flags & kLostWords) != 0;
    file.admission = static_cast<Admission>(in.number<std::uint8_t>());
    file.chunk_count = in.number<std::uint32_t>();
    file.text = in.text();
    file.language = language_of(file.meta.path);
    const bool is_indexed = file.alive && file.admission == Admission::indexed;
    in.require(flags <= (kAlive | kDocument | kLostWords) &&
                   file.admission <= Admission::index_full &&
                   file.text.size() <= (is_indexed ? kFileBytesMax : 0) &&
                   (file.admission == Admission::indexed || file.chunk_count == 0),
               "a file");
    if (is_indexed) file.path_words = words_of_path(file.meta.path);
    if (file.alive) {
      Names& names = file.document ? document_names_ : file_names_;
      in.require(names.emplace(file.meta.path, id).second, "a file's name");
      if (file.admission == Admission::index_full) ++left_out_count_;
    } else {
      ++dead_file_count_;
    }
    text_bytes_ += file.text.size();
    files_.push_back(std::move(file));
  }
}

// Chunks and symbols are in the order of their files.
void Index::load_chunks(SnapshotReader& in) {
  constexpr std::size_t kSymbolBytes = 9;
  const auto ranges = in.list_in_place<Chunk>();
  const auto symbol_counts = in.list_in_place<std::uint32_t>();
  const auto symbol_count = in.number<std::uint32_t>();
  in.require(ranges.size() == symbol_counts.size(), "the chunks");
  symbols_.reserve(in.possible_count(symbol_count, kSymbolBytes));
  chunks_.reserve(ranges.size());
  for (std::uint32_t i = 0; i < symbol_count; ++i) {
    Symbol symbol;
    symbol.begin = in.number<std::uint32_t>();
    symbol.size = in.number<std::uint32_t>();
    symbol.kind = static_cast<SymbolKind>(in.number<std::uint8_t>());
    symbols_.push_back(symbol);
  }
  std::uint64_t next_symbol = 0;
  for (FileId id = 0; id < files_.size(); ++id) {
    File& file = files_[id];
    file.first_chunk = static_cast<std::uint32_t>(chunks_.size());
    in.require(file.chunk_count <= ranges.size() - chunks_.size(), "a file's chunks");
    for (std::uint32_t i = 0; i < file.chunk_count; ++i) {
      const std::size_t at = chunks_.size();
      const ChunkRow row{ranges[at], id, static_cast<std::uint32_t>(next_symbol),
                         symbol_counts[at]};
      next_symbol += row.symbol_count;
      in.require(next_symbol <= symbols_.size(), "a chunk's symbols");
      in.require(!file.alive || is_sound(row.range, file.text), "a chunk");
      for (std::uint32_t s = 0; file.alive && s < row.symbol_count; ++s) {
        in.require(is_sound(symbols_[row.first_symbol + s], row.range, file.text), "a symbol");
      }
      if (row.symbol_count > 0) file.defines = true;
      chunks_.push_back(row);
    }
    if (!file.alive) dead_chunk_count_ += file.chunk_count;
  }
  in.require(chunks_.size() == ranges.size() && next_symbol == symbols_.size(), "the last chunk");
}

// What is dead has no text that a hit could show.
void Index::require_dead_are_gone() const {
  for (FileId id = 0; id < files_.size(); ++id) {
    const File& file = files_[id];
    if (file.alive) continue;
    bool is_gone = !file_field_.has(id);
    for (DocId chunk = file.first_chunk; chunk < file.first_chunk + file.chunk_count; ++chunk) {
      is_gone =
          is_gone && !text_field_.has(chunk) && !symbol_field_.has(chunk) && !vectors_.has(chunk);
    }
    SnapshotReader::require(is_gone, "a file that is gone");
  }
}

}  // namespace cellar::search
