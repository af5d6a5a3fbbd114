#include "search/index.h"

#include <algorithm>

#include "base/error.h"
#include "search/path_rank.h"
#include "search/words.h"

namespace cellar::search {
namespace {

// What a chunk is found by besides its text: the file's name twice, its folders once.
std::string names_around(std::string_view path) {
  constexpr std::size_t kFolders = 3;
  std::string out(stem_of_path(path));
  out.append(" ").append(stem_of_path(path));
  for (const auto folder : last_folders(path, kFolders)) out.append(" ").append(folder);
  return out;
}

// What a chunk's vector holds besides its words: the file's name without its suffix, and its
// folder.
void append_path_rows(std::string_view path, std::vector<RowId>& out) {
  const auto name_at = path.rfind('/') + 1;  // npos + 1 is 0.
  const std::string_view name = path.substr(name_at);
  const auto append = [&](std::string_view text) {
    for_each_identifier(text, [&](std::string_view word) { append_rows_of(word, out); });
  };
  append(name.substr(0, name.rfind('.')));
  for (const auto folder : last_folders(path, 1)) append(folder);
}

}  // namespace

Index::Index(const IndexLimits& limits)
    : limits_(limits), text_field_(1.5F, .75F), symbol_field_(1.2F, .3F), file_field_(1.5F, .75F) {}

Admission Index::put(const FileMeta& meta, std::string_view text) {
  File file;
  file.meta = meta;
  file.admission = admit(text);
  return insert(file_names_, std::move(file), text);
}

void Index::put_skipped(const FileMeta& meta, Admission why) {
  File file;
  file.meta = meta;
  file.admission = why;
  insert(file_names_, std::move(file), {});
}

void Index::check_document(std::string_view name, std::string_view text) {
  if (name.empty() || name.size() > kDocumentNameBytesMax) {
    throw Error(ErrorCode::invalid_argument, "invalid_path",
                "a document's name has 1 to " + std::to_string(kDocumentNameBytesMax) + " bytes");
  }
  if (text.size() > kFileBytesMax) {
    throw Error(ErrorCode::too_large, "document_too_large",
                "document '" + std::string(name) + "' is larger than " +
                    std::to_string(kFileBytesMax) + " bytes");
  }
}

Admission Index::put_document(std::string_view name, std::string_view text) {
  check_document(name, text);
  File file;
  file.meta.path = name;
  file.meta.size_bytes = text.size();
  file.document = true;
  file.admission = admit(text);
  return insert(document_names_, std::move(file), text);
}

void Index::remove(std::string_view path) { erase(file_names_, std::string(path)); }
bool Index::remove_document(std::string_view name) {
  return erase(document_names_, std::string(name));
}

std::optional<FileMeta> Index::find(std::string_view path) const {
  const auto at = file_names_.find(std::string(path));
  if (at == file_names_.end()) return std::nullopt;
  return files_[at->second].meta;
}

bool Index::needs(const FileMeta& meta) const {
  const auto at = file_names_.find(meta.path);
  if (at == file_names_.end()) return has_room_for_file();
  const File& file = files_[at->second];
  if (file.meta != meta) return true;
  return file.admission == Admission::index_full && has_room_for_text(meta.size_bytes);
}

std::size_t Index::retain(Names& names, const Keep& keep) {
  std::vector<std::string> gone;
  for (const auto& [path, id] : names) {
    if (!keep(path)) gone.push_back(path);
  }
  for (const auto& path : gone) erase(names, path);
  return gone.size();
}

// What is dead counts no longer: compact_if_worth_it() keeps it a part of what lives.
bool Index::has_room_for_file() const noexcept {
  return files_.size() - dead_file_count_ < limits_.files_max;
}

bool Index::has_room_for_text(std::size_t bytes) const noexcept {
  constexpr std::size_t kChunkBytesLeast = kChunkBytesMax * 2 / 5;
  const std::size_t chunk_count = chunks_.size() - dead_chunk_count_;
  return text_bytes_ + bytes <= limits_.text_bytes_max &&
         memory_bytes() < limits_.memory_bytes_max &&
         chunk_count + bytes / kChunkBytesLeast + 1 <= limits_.chunks_max;
}

void Index::set_text(File& file, std::string_view text) {
  file.own_text = std::make_unique_for_overwrite<char[]>(text.size());
  std::copy(text.begin(), text.end(), file.own_text.get());
  file.text = {file.own_text.get(), text.size()};
  own_text_bytes_ += text.size();
}

Admission Index::insert(Names& names, File file, std::string_view text) {
  // Its chunks that did not change keep their vectors, beyond its end.
  KnownVectors known_vectors;
  std::unique_ptr<char[]> known_text;
  if (const auto at = names.find(file.meta.path); at != names.end()) {
    File& known = files_[at->second];
    const bool same = file.admission == Admission::indexed &&
                      known.admission == Admission::indexed && known.text == text;
    if (same) {
      if (known.meta != file.meta) ++change_count_;
      known.meta = std::move(file.meta);
      return Admission::indexed;
    }
    if (file.admission == Admission::indexed) known_vectors = vectors_of(known);
    if (known.own_text != nullptr) {
      own_text_bytes_ -= known.text.size();
      known_text = std::move(known.own_text);
    }
  }
  ++change_count_;
  erase(names, file.meta.path);
  // Beyond the number of files not even the metadata is kept.
  if (!has_room_for_file()) return Admission::index_full;
  if (file.admission == Admission::indexed && !has_room_for_text(text.size())) {
    file.admission = Admission::index_full;
  }
  if (file.admission == Admission::index_full) ++left_out_count_;
  const Admission admission = file.admission;
  const auto id = static_cast<FileId>(files_.size());
  file.language = language_of(file.meta.path);
  names.emplace(file.meta.path, id);
  if (admission == Admission::indexed) {
    set_text(file, text);
    file.path_words = words_of_path(file.meta.path);
    text_bytes_ += text.size();
  }
  files_.push_back(std::move(file));
  if (admission == Admission::indexed) add_chunks(id, known_vectors);
  return admission;
}

Index::KnownVectors Index::vectors_of(const File& file) const {
  KnownVectors vectors;
  for (DocId chunk = file.first_chunk; chunk < file.first_chunk + file.chunk_count; ++chunk) {
    const Chunk& range = chunks_[chunk].range;
    vectors.emplace(file.text.substr(range.begin, range.end - range.begin), vectors_.get(chunk));
  }
  return vectors;
}

void Index::add_chunks(FileId id, const KnownVectors& known_vectors) {
  File& file = files_[id];
  const std::string_view text = file.text;
  const auto symbols = find_symbols(text, file.language.family);
  file.defines = !symbols.empty();
  file.first_chunk = static_cast<std::uint32_t>(chunks_.size());

  Words around;
  vocabulary_.add(names_around(file.meta.path), around);
  std::vector<RowId> path_rows;
  append_path_rows(file.meta.path, path_rows);
  // Only code has vectors, and what an agent adds itself. The model was made to bring comments to
  // code: prose beside code would be nearer to every query than the code is.
  const bool has_vectors = is_code(file.language) || file.document;
  Words of_file;
  vocabulary_.add(file.meta.path, of_file);
  Words words;
  auto symbol = symbols.begin();
  for (const Chunk& range : cut_chunks(text)) {
    const auto doc = static_cast<DocId>(chunks_.size());
    words.clear();
    const bool is_cut =
        range.begin > 0 && is_word_byte(text[range.begin - 1]) && is_word_byte(text[range.begin]);
    const std::string_view of_chunk = text.substr(range.begin, range.end - range.begin);
    const std::size_t lost_count = vocabulary_.add(of_chunk, words);
    file.lost_words = file.lost_words || is_cut || lost_count > 0;
    of_file.terms.insert(of_file.terms.end(), words.terms.begin(), words.terms.end());
    words.terms.insert(words.terms.end(), around.terms.begin(), around.terms.end());
    text_field_.add(doc, count_terms(words.terms));
    if (const auto known = known_vectors.find(of_chunk); known != known_vectors.end()) {
      vectors_.add(doc, known->second);
    } else {
      words.rows.insert(words.rows.end(), path_rows.begin(), path_rows.end());
      if (!has_vectors) words.rows.clear();
      vectors_.add(doc, vector_of(row_tally_.count(words.rows, model::kWordCount)));
    }

    ChunkRow row{range, id, static_cast<std::uint32_t>(symbols_.size()), 0};
    words.clear();
    for (; symbol != symbols.end() && symbol->begin < range.end; ++symbol) {
      vocabulary_.add(text.substr(symbol->begin, symbol->size), words);
      symbols_.push_back(*symbol);
      ++row.symbol_count;
    }
    symbol_field_.add(doc, count_terms(words.terms));
    chunks_.push_back(row);
  }
  file.chunk_count = static_cast<std::uint32_t>(chunks_.size()) - file.first_chunk;
  file_field_.add(id, count_terms(of_file.terms));
}

const std::vector<TermCount>& Index::count_terms(const std::vector<TermId>& terms) {
  return term_tally_.count(terms, vocabulary_.size());
}

bool Index::erase(Names& names, const std::string& name) {
  const auto at = names.find(name);
  if (at == names.end()) return false;
  ++change_count_;
  const FileId id = at->second;
  names.erase(at);
  File& file = files_[id];
  for (std::uint32_t i = 0; i < file.chunk_count; ++i) {
    text_field_.remove(file.first_chunk + i);
    symbol_field_.remove(file.first_chunk + i);
    vectors_.remove(file.first_chunk + i);
  }
  file_field_.remove(id);
  text_bytes_ -= file.text.size();
  if (file.own_text != nullptr) own_text_bytes_ -= file.text.size();
  if (file.admission == Admission::index_full) --left_out_count_;
  dead_chunk_count_ += file.chunk_count;
  ++dead_file_count_;
  file.alive = false;
  file.text = {};
  file.own_text.reset();
  file.path_words = {};
  compact_if_worth_it();
  return true;
}

void Index::compact_if_worth_it() {
  constexpr std::size_t kDeadMin = 1000;  // Below that, nothing is won.
  const bool chunks = dead_chunk_count_ > kDeadMin && dead_chunk_count_ > chunks_.size() / 4;
  const bool files = dead_file_count_ > kDeadMin && dead_file_count_ > files_.size() / 4;
  if (chunks || files) compact();
}

void Index::compact() {
  std::vector<DocId> new_chunks(chunks_.size());
  std::vector<FileId> new_files(files_.size());
  std::vector<File> files;
  std::vector<ChunkRow> chunks;
  std::vector<Symbol> symbols;
  for (FileId id = 0; id < files_.size(); ++id) {
    if (!files_[id].alive) continue;
    new_files[id] = static_cast<FileId>(files.size());
    File file = std::move(files_[id]);
    const std::uint32_t old_first = file.first_chunk;
    file.first_chunk = static_cast<std::uint32_t>(chunks.size());
    for (std::uint32_t i = 0; i < file.chunk_count; ++i) {
      ChunkRow row = chunks_[old_first + i];
      new_chunks[old_first + i] = static_cast<DocId>(chunks.size());
      const auto first = symbols_.begin() + row.first_symbol;
      row.first_symbol = static_cast<std::uint32_t>(symbols.size());
      symbols.insert(symbols.end(), first, first + row.symbol_count);
      row.file = new_files[id];
      chunks.push_back(row);
    }
    files.push_back(std::move(file));
  }
  files_ = std::move(files);
  chunks_ = std::move(chunks);
  symbols_ = std::move(symbols);
  for (auto* names : {&file_names_, &document_names_}) {
    for (auto& [name, id] : *names) id = new_files[id];
  }

  std::vector<bool> keep(vocabulary_.size());
  text_field_.mark_living_terms(keep);
  symbol_field_.mark_living_terms(keep);
  file_field_.mark_living_terms(keep);
  const auto new_terms = vocabulary_.compact(keep);
  text_field_.compact(new_chunks, new_terms);
  symbol_field_.compact(new_chunks, new_terms);
  file_field_.compact(new_files, new_terms);
  vectors_.compact(new_chunks, chunks_.size());
  term_tally_ = {};
  dead_chunk_count_ = 0;
  dead_file_count_ = 0;
  leave_snapshot();
}

// Of a snapshot only texts are left by now; for the sake of some, all of it would stay in memory.
void Index::leave_snapshot() {
  for (File& file : files_) {
    if (file.own_text == nullptr && !file.text.empty()) set_text(file, file.text);
  }
  snapshot_ = {};
}

std::size_t Index::memory_bytes() const noexcept {
  constexpr std::size_t kPerFileBytes = sizeof(File) + sizeof(Names::value_type) + 128;
  return snapshot_.size() + own_text_bytes_ + files_.size() * kPerFileBytes +
         chunks_.capacity() * sizeof(ChunkRow) + symbols_.capacity() * sizeof(Symbol) +
         vocabulary_.memory_bytes() + text_field_.memory_bytes() + symbol_field_.memory_bytes() +
         file_field_.memory_bytes() + vectors_.memory_bytes() + term_tally_.memory_bytes() +
         row_tally_.memory_bytes();
}

IndexStats Index::stats() const {
  IndexStats out;
  out.document_count = document_names_.size();
  out.chunk_count = chunks_.size() - dead_chunk_count_;
  out.dead_chunk_count = dead_chunk_count_;
  out.term_count = vocabulary_.size();
  out.text_bytes = text_bytes_;
  out.left_out_count = left_out_count_;
  for (const ChunkRow& row : chunks_) {
    if (files_[row.file].alive) out.symbol_count += row.symbol_count;
  }
  for (const auto& [path, id] : file_names_) {
    const Admission admission = files_[id].admission;
    ++(admission == Admission::indexed ? out.file_count : out.skipped_count);
  }
  out.memory_bytes = memory_bytes();
  return out;
}

}  // namespace cellar::search
