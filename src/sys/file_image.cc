#include "sys/file_image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/call.h"
#include "sys/file.h"

namespace cellar::sys {

FileImage::~FileImage() {
  if (memory_.at != nullptr) ::munmap(memory_.at, memory_.size);
}

std::optional<FileImage> FileImage::read(const std::string& path, std::size_t max_bytes) {
  constexpr std::size_t kLargePage = 2 << 20;
  const auto fd = open_file_if_exists(path, O_RDONLY);
  if (!fd) return std::nullopt;
  struct stat stat{};
  if (::fstat(fd->get(), &stat) == -1) throw_errno("fstat", path);
  const auto size = static_cast<std::size_t>(stat.st_size);
  if (size > max_bytes) {
    throw Error(ErrorCode::too_large, "file_too_large",
                path + " is larger than " + std::to_string(max_bytes) + " bytes");
  }
  FileImage image;
  if (size == 0) return image;
  // The kernel places what is as large as a large page on the border of one. The rest is in small
  // ones: what is read of a file of some KiB would take up all of a large one.
  void* const at =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw_errno("mmap", path);
  image.memory_ = {at, size};
  const std::size_t large = size / kLargePage * kLargePage;
  if (large > 0) (void)::madvise(at, large, MADV_HUGEPAGE);  // Without it, it is only slower.
  while (image.size_ < size) {
    char* const next = static_cast<char*>(at) + image.size_;
    const auto got = retry_on_signal([&] { return ::read(fd->get(), next, size - image.size_); });
    if (got == -1) throw_errno("read", path);
    if (got == 0) break;  // Somebody cut it meanwhile.
    image.size_ += static_cast<std::size_t>(got);
  }
  return image;
}

}  // namespace cellar::sys
