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

  // `all` is the room of all cells, which must outlive it.
  explicit OutputRoom(std::size_t bytes_max, OutputRoom* all = nullptr) noexcept
      : left_(bytes_max), all_(all) {}
  OutputRoom(const OutputRoom&) = delete;
  OutputRoom& operator=(const OutputRoom&) = delete;

  // What one command holds; given back with it, so the room must outlive it.
  class Held {
   public:
    explicit Held(OutputRoom& room) noexcept : room_(room) {}
    ~Held() { room_.give_back(bytes_); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    // As many of so many bytes as there is room for.
    std::size_t take(std::size_t bytes) noexcept {
      const std::size_t taken = room_.take(bytes);
      bytes_ += taken;
      return taken;
    }

   private:
    OutputRoom& room_;
    std::size_t bytes_ = 0;
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
};

}  // namespace cellar::cell
