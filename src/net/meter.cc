#include "net/meter.h"

#include <algorithm>

namespace cellar::net {
namespace {

// A cell that was quiet may use this long of its rate at once.
constexpr std::chrono::milliseconds kBurstLength{250};
constexpr std::uint64_t kPieceBytesMin = 1024;
constexpr std::uint64_t kPiecesPerSecond = 16;

}  // namespace

void Meter::set_limits(const Limits& limits) {
  limits_ = limits;
  booked_until_ = Time();
}

std::chrono::milliseconds Meter::count(Way way, std::size_t bytes, Time now) {
  (way == Way::up ? usage_.bytes_up : usage_.bytes_down) += bytes;
  if (!limits_.bytes_per_s) return std::chrono::milliseconds(0);
  const double seconds = static_cast<double>(bytes) / static_cast<double>(*limits_.bytes_per_s);
  booked_until_ =
      std::max(booked_until_, now - kBurstLength) +
      std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(seconds));
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(booked_until_ - now);
  return std::max(wait, std::chrono::milliseconds(0));
}

bool Meter::is_spent() const noexcept {
  return limits_.bytes && usage_.bytes_up + usage_.bytes_down >= *limits_.bytes;
}

std::size_t Meter::piece_bytes(std::size_t wanted) const noexcept {
  if (!limits_.bytes_per_s) return wanted;
  const std::uint64_t piece = std::max(*limits_.bytes_per_s / kPiecesPerSecond, kPieceBytesMin);
  return static_cast<std::size_t>(std::min<std::uint64_t>(piece, wanted));
}

}  // namespace cellar::net
