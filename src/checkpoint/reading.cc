#include "checkpoint/reading.h"

#include <fcntl.h>

#include <algorithm>

#include "base/check.h"
#include "sys/clone_file.h"
#include "sys/file.h"
#include "sys/positioned.h"

namespace cellar::checkpoint {
namespace {

constexpr std::size_t kHoleBytes = 64 << 10;

bool is_zero(std::string_view bytes) noexcept {
  return bytes.find_first_not_of('\0') == bytes.npos;
}

}  // namespace

Reading::Reading(sys::OpenFile file, const std::string& copy)
    : file_(std::move(file)), end_(file_.stat.size_bytes) {
  if (copy.empty()) return;
  copy_ = sys::open_file(copy, O_RDWR | O_CREAT | O_EXCL);
  is_clone_ = sys::try_clone(file_.fd.get(), copy_.get());
  if (!is_clone_) return;
  // It may have grown, or shrunk, since it was opened: limits were asked for what it was then.
  const std::uint64_t cloned_bytes = sys::file_size(copy_.get(), copy);
  if (cloned_bytes > end_) sys::cut_file(copy, end_);
  end_ = std::min(end_, cloned_bytes);
}

bool Reading::step() {
  const int from = is_clone_ ? copy_.get() : file_.fd.get();
  const auto wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, end_ - offset_));
  const std::string piece = sys::read_at(from, offset_, wanted, "a file");
  sum_.update(piece);
  if (copy_ && !is_clone_) write(piece, offset_);
  if (!copy_ && end_ <= kPieceBytes) whole_ += piece;
  offset_ += piece.size();
  return offset_ < end_ && !piece.empty();
}

std::string Reading::save(std::string path) const {
  CELLAR_CHECK(offset_ == whole_.size());
  const sys::Fd file = sys::open_file(path, O_WRONLY | O_CREAT | O_EXCL);
  sys::write_all(file.get(), whole_, path);
  return path;
}

void Reading::write(std::string_view piece, std::uint64_t offset) {
  while (!piece.empty()) {
    const std::string_view part = piece.substr(0, kHoleBytes);
    piece.remove_prefix(part.size());
    // The last byte says how long the copy is, so it is always written.
    if (!is_zero(part)) {
      sys::write_all_at(copy_.get(), part, offset, "a copy");
    } else {
      sys::write_all_at(copy_.get(), part.substr(part.size() - 1), offset + part.size() - 1,
                        "a copy");
    }
    offset += part.size();
  }
}

}  // namespace cellar::checkpoint
