#include "cell/image_body.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "cell/cell_journal.h"
#include "cell/runner.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;
// What a record costs that has next to nothing in it.
constexpr std::size_t kRecordBytes = 128;

}  // namespace

void ImageBody::Piece::add(Loaded value) {
  const std::size_t size = journal::size_of(value.value);
  bytes += size;
  weight += size + kRecordBytes;
  values.push_back(std::move(value));
}

bool ImageBody::Piece::is_full() const noexcept { return weight >= kPieceBytes; }

ImageBody::ImageBody(CellJournal& journal, Open open, std::shared_ptr<std::size_t> held)
    : journal_(journal), open_(std::move(open)), held_(std::move(held)) {}

ImageBody::~ImageBody() {
  for (const Value& value : values_) {
    if (value.held) give_back(*value.held);
  }
}

void ImageBody::give_back(const journal::Payload& value) noexcept { *held_ -= value.bytes.size(); }

std::size_t ImageBody::add(journal::Lsn lsn, journal::Payload value, bool sealed) {
  const std::size_t kept = journal::size_of(value);
  const std::size_t size = sealed ? kept - std::min(kept, RunnerHost::kSealedMoreBytes) : kept;
  const bool is_apart = sealed || value.blob.has_value();
  values_.push_back({.lsn = lsn, .sealed = sealed, .is_apart = is_apart, .held = {}});
  if (*held_ + value.bytes.size() <= kHeldBytesMax) {
    *held_ += value.bytes.size();
    values_.back().held = std::move(value);
  }
  needs_check_ = needs_check_ || is_apart;
  bytes_ += size;
  return size;
}

asio::awaitable<void> ImageBody::check() {
  Piece piece;
  journal::ReadAhead ahead;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const Value& value = values_[i];
    if (value.is_apart) {
      piece.add({.value = value.held ? *value.held : journal_.payload_at(value.lsn, &ahead),
                 .sealed = value.sealed});
    }
    if (piece.is_full() || i + 1 == values_.size()) co_await load(std::exchange(piece, Piece()));
  }
}

asio::awaitable<std::string> ImageBody::next() {
  std::string bytes;
  while (bytes.empty() && next_ < values_.size()) {
    Piece piece;
    for (; next_ < values_.size() && !piece.is_full(); ++next_) {
      Value& value = values_[next_];
      if (value.held) give_back(*value.held);
      piece.add({.value = value.held ? *std::exchange(value.held, std::nullopt)
                                     : journal_.payload_at(value.lsn, &ahead_),
                 .sealed = value.sealed});
    }
    bytes = co_await load(std::move(piece));
  }
  co_return bytes;
}

// One behind the other, as the agent gets them.
asio::awaitable<std::string> ImageBody::load(Piece piece) {
  const bool blocks = std::any_of(piece.values.begin(), piece.values.end(), [](const Loaded& each) {
    return each.value.blob.has_value() || each.sealed;
  });
  auto work = [this, piece = std::move(piece)] {
    std::string all;
    if (piece.values.size() > 1) all.reserve(piece.bytes);
    for (const Loaded& each : piece.values) {
      std::string value = journal_.bytes_of(each.value);
      if (each.sealed) {
        const auto plain = open_(value);
        if (!plain) throw_values_sealed();
        value = *plain;
      }
      if (piece.values.size() == 1) return value;
      all += value;
    }
    return all;
  };
  if (!blocks) co_return work();
  co_return co_await async::offload(journal_.pool(), std::move(work));
}

void throw_values_sealed() {
  throw Error(ErrorCode::unavailable, "values_sealed",
              "the run has recorded a value of a sensitive step under another key",
              "bring the key file back (--seal-key-file), then resume the run");
}

}  // namespace cellar::cell
