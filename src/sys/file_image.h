#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace cellar::sys {

// The contents of a file as they were when it was read, in memory that the kernel gives in large
// pages where it can: for files of many megabytes, whose first touch would cost more than to read
// them. No mapping of the file, whose bytes an error of the disk could take away later.
class FileImage {
 public:
  FileImage() noexcept = default;
  FileImage(FileImage&& other) noexcept
      : memory_(std::exchange(other.memory_, {})), size_(std::exchange(other.size_, 0)) {}
  FileImage& operator=(FileImage&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~FileImage();

  // nullopt where there is no file. Blocking. Throws Error, `too_large` above `max_bytes`.
  static std::optional<FileImage> read(const std::string& path, std::size_t max_bytes);

  std::string_view bytes() const noexcept { return {static_cast<const char*>(memory_.at), size_}; }

 private:
  struct Memory {
    void* at = nullptr;
    std::size_t size = 0;
  };
  Memory memory_;
  std::size_t size_ = 0;  // of the file
};

}  // namespace cellar::sys
