#include "search/snapshot.h"

#include "base/crc32c.h"
#include "base/error.h"

namespace cellar::search {
namespace {

constexpr std::string_view kMagic = "CELLIDX\n";
constexpr std::size_t kChecksumBytes = sizeof(std::uint32_t);
// Small enough to stay in the processor's cache.
constexpr std::size_t kPieceBytes = 256 << 10;

}  // namespace

SnapshotWriter::SnapshotWriter(const SnapshotSink& sink) : sink_(sink), bytes_(kMagic) {
  number(kSnapshotVersion);
}

void SnapshotWriter::add(std::string_view piece) {
  bytes_.append(piece);
  if (bytes_.size() >= kPieceBytes) flush();
}

void SnapshotWriter::flush() {
  checksum_ = crc32c(checksum_, bytes_);
  sink_(bytes_);
  bytes_.clear();
}

void SnapshotWriter::finish() {
  flush();
  number(checksum_);
  sink_(bytes_);
}

SnapshotReader::SnapshotReader(std::string_view bytes) {
  require(bytes.starts_with(kMagic), "the header");
  rest_ = bytes.substr(0, bytes.size() - std::min(bytes.size(), kChecksumBytes));
  const std::uint32_t checksum = crc32c(0, rest_);
  require(take(kMagic.size()) == kMagic && number<std::uint32_t>() == kSnapshotVersion,
          "the version");
  require(checksum == get_le<std::uint32_t>(bytes, bytes.size() - kChecksumBytes), "the checksum");
}

std::string_view SnapshotReader::text() {
  const auto size = number<std::uint64_t>();
  require(size <= rest_.size(), "a text");
  return take(size);
}

void SnapshotReader::refuse(std::string_view what) {
  throw Error(ErrorCode::corrupt, "the snapshot of a search index is damaged or old: " +
                                      std::string(what) + " is not as it must be");
}

void snapshot::sign(std::string& bytes) {
  if (bytes.size() < kChecksumBytes) return;
  bytes.resize(bytes.size() - kChecksumBytes);
  put_le(bytes, crc32c(0, bytes));
}

}  // namespace cellar::search
