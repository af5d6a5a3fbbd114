#include "journal/segment_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/fault.h"
#include "journal/unfinished.h"

namespace cellar::journal {
namespace {

constexpr std::string_view kSuffix = ".seg";
constexpr std::string_view kHalfMade = ".tmp";
constexpr std::size_t kDigits = 20;
constexpr char kSpare[] = "spare.ready";
constexpr char kSpareHalfMade[] = "spare.tmp";
constexpr std::size_t kPieceBytes = 256 << 10;  // read or written at once

// 0 for every other file.
Lsn first_lsn_of(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return 0;
  Lsn lsn = 0;
  const char* const end = name.data() + kDigits;
  const auto [at, error] = std::from_chars(name.data(), end, lsn);
  return error == std::errc() && at == end ? lsn : 0;
}

bool holds_only_zeros(const File& file, std::uint64_t size) {
  for (std::uint64_t at = 0; at < size; at += kPieceBytes) {
    const std::string piece = file.read_at(at, std::min<std::uint64_t>(kPieceBytes, size - at));
    if (piece.find_first_not_of('\0') != std::string::npos) return false;
  }
  return true;
}

}  // namespace

std::string segment_name(Lsn first_lsn) { return fmt::format("{:020}{}", first_lsn, kSuffix); }

std::vector<Lsn> list_segments(const Storage& storage) {
  std::vector<Lsn> found;
  for (const std::string& name : storage.list("")) {
    if (const Lsn lsn = first_lsn_of(name); lsn != 0) found.push_back(lsn);
  }
  std::sort(found.begin(), found.end());
  return found;
}

void remove_leftovers(Storage& storage) {
  for (const std::string& name : storage.list("")) {
    if (name.ends_with(kHalfMade)) storage.remove(name);
  }
}

std::uint64_t take_over_spare(Storage& storage) {
  const auto file = storage.open(kSpare);
  if (!file) return 0;
  const std::uint64_t bytes = file->size();
  if (bytes <= kHeaderBytes || bytes > kSegmentBytesMax || bytes % kHeaderBytes != 0) {
    storage.remove(kSpare);
    return 0;
  }
  // A crash may have left a header and a batch in it that nobody was told of.
  if (holds_only_zeros(*file, bytes)) return bytes;
  write_zeros(*file, 0, bytes);
  file->sync();
  return bytes;
}

void remove_segments(Storage& storage, const std::vector<Lsn>& first_lsns) {
  for (const Lsn first_lsn : first_lsns) {
    fault_point("trim.before_remove");
    storage.remove(segment_name(first_lsn));
    fault_point("trim.before_names_sync");
    storage.sync_names("");
  }
}

void begin_segment(Storage& storage, NewSegment& segment, std::string_view batch) {
  std::unique_ptr<File> file = storage.open(kSpare);
  if (!file || file->size() != segment.bytes) {
    throw Error(ErrorCode::unavailable, "journal_io_error",
                std::string(kSpare) + " is not the file any more that was made for the journal");
  }
  fault_point("segment.before_write");
  file->write_at(0, segment.header);
  file->write_at(segment.header.size(), batch);
  fault_point("segment.before_sync");
  file->sync();
  fault_point("segment.before_rename");
  storage.rename(kSpare, segment_name(segment.first_lsn));
  fault_point("segment.before_names_sync");
  storage.sync_names("");
  fault_point("segment.after_names_sync");
  segment.file = std::move(file);
}

void make_spare_segment(Storage& storage, std::uint64_t bytes) {
  fault_point("spare.before_create");
  const auto file = storage.create(kSpareHalfMade);
  Unfinished unfinished(storage, kSpareHalfMade);
  // Zeros, not only space: a write into space that was never written changes the file's metadata
  // too, and each fdatasync would have to wait for that.
  fault_point("spare.before_write");
  write_zeros(*file, 0, bytes);
  fault_point("spare.before_sync");
  file->sync();
  fault_point("spare.before_rename");
  storage.rename(kSpareHalfMade, kSpare);
  unfinished.finish();
  fault_point("spare.after_rename");
}

void write_zeros(File& file, std::uint64_t begin, std::uint64_t end) {
  static const std::string zeros(kPieceBytes, '\0');
  while (begin < end) {
    const auto size = std::min<std::uint64_t>(zeros.size(), end - begin);
    file.write_at(begin, std::string_view(zeros).substr(0, size));
    begin += size;
  }
}

}  // namespace cellar::journal
