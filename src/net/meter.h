#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace cellar::net {

// What a cell may use of the network.
struct Limits {
  static constexpr std::size_t kConnectionsMax = 4096;
  static constexpr std::uint64_t kBytesPerSecondMin = 1024;

  std::size_t connections = 256;             // at a time, of each domain; 1 to kConnectionsMax
  std::optional<std::uint64_t> bytes_per_s;  // both ways together, from kBytesPerSecondMin up
  std::optional<std::uint64_t> bytes;        // the same, in the life of the cell
  bool operator==(const Limits&) const = default;
};

// What it has used.
struct Usage {
  std::uint64_t bytes_up = 0;  // from the cell
  std::uint64_t bytes_down = 0;
  std::uint64_t connections = 0;  // accepted, those that were refused included
  std::uint64_t refusals = 0;     // connections and questions, also those that were not told
  std::uint64_t failures = 0;     // allowed, but the upstream could not be reached
  std::uint64_t questions = 0;    // asked of the resolver
  bool operator==(const Usage&) const = default;
};

enum class Way : std::uint8_t { up, down };

// Counts what a cell moves, all its connections together, and says when it has to wait or to stop.
// Loop thread only.
class Meter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Meter(Limits limits = {}, Usage usage = {}) : limits_(limits), usage_(usage) {}

  void set_limits(const Limits& limits);
  const Limits& limits() const noexcept { return limits_; }
  Usage& usage() noexcept { return usage_; }
  const Usage& usage() const noexcept { return usage_; }

  // Counts bytes that have moved at `now`. How long to wait before more are: 0 without a rate.
  std::chrono::milliseconds count(Way way, std::size_t bytes, Time now);
  // Whether all the bytes that it may move have been moved.
  bool is_spent() const noexcept;
  // How many bytes to move at once, at most `wanted`: a small rate gives small pieces.
  std::size_t piece_bytes(std::size_t wanted) const noexcept;

 private:
  Limits limits_;
  Usage usage_;
  Time booked_until_;
};

}  // namespace cellar::net
