#pragma once

#include <utility>

namespace cellar::sys {

// Owns one file descriptor. -1 means none. Not thread-safe, like any value.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ != -1; }
  // Gives the descriptor away: the caller closes it.
  int release() noexcept { return std::exchange(fd_, -1); }
  // Closes what is held, then holds `fd`.
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

// A second descriptor for the same open file, close-on-exec. Throws Error.
Fd duplicate(int fd);

struct Pipe {
  Fd read_end;
  Fd write_end;
};
// Both ends close-on-exec and blocking. Throws Error.
Pipe make_pipe();

// Opens /dev/null as each of the descriptors 0 to 2 that is closed: what is opened later would be
// taken for standard input or output. Comes before anything is opened; where there is no /dev/null
// all stays as it is.
void fill_standard_streams() noexcept;

// Makes the open file belong to the uid and gid `id`. Throws Error.
void give_to(int fd, unsigned id);
// The uid that it belongs to. Throws Error.
unsigned owner_of(int fd);

// Adds or removes O_NONBLOCK of the open file. Throws Error.
void set_nonblocking(int fd);
void set_blocking(int fd);

}  // namespace cellar::sys
