#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

namespace cellar::cell {

// How much of what commands print, and are given, is held in memory: of a cell, and of all cells
// together. Loop thread only.
class OutputRoom {
 public:
  static constexpr std::size_t kCellBytesMax = 256 << 20;
  static constexpr std::size_t kAllBytesMax = 1 << 30;
  static constexpr std::size_t kOwnBytes = 64 << 10;  // of each command, whatever others hold

  // `all` is the room of all cells, which must outlive it; `own_bytes`: see kOwnBytes.
  explicit OutputRoom(std::size_t bytes_max, OutputRoom* all = nullptr,
                      std::size_t own_bytes = kOwnBytes) noexcept
      : left_(bytes_max), all_(all), own_bytes_(own_bytes) {}
  OutputRoom(const OutputRoom&) = delete;
  OutputRoom& operator=(const OutputRoom&) = delete;

  // What one command holds; given back with it, so the room must outlive it.
  class Held {
   public:
    explicit Held(OutputRoom& room) noexcept : room_(room), own_left_(room.own_bytes_) {}
    ~Held() { room_.give_back(bytes_); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    // As many of so many bytes as there is room for; its own first ones have room in any case.
    std::size_t take(std::size_t bytes) noexcept {
      const std::size_t own = std::min(bytes, own_left_);
      own_left_ -= own;
      const std::size_t taken = room_.take(bytes - own);
      bytes_ += taken;
      return own + taken;
    }

   private:
    OutputRoom& room_;
    std::size_t own_left_;
    std::size_t bytes_ = 0;  // of the room's
  };

 private:
  std::size_t take(std::size_t bytes) noexcept {
    bytes = std::min(bytes, left_);
    if (all_ != nullptr) bytes = all_->take(bytes);
    left_ -= bytes;
    return bytes;
  }
  void give_back(std::size_t bytes) noexcept {
    left_ += bytes;
    if (all_ != nullptr) all_->give_back(bytes);
  }

  std::size_t left_;
  OutputRoom* all_;
  std::size_t own_bytes_;  // of each that is held
};

}  // namespace cellar::cell
