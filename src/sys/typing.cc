#include "sys/typing.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "sys/call.h"

namespace cellar::sys {
namespace {

constexpr std::size_t kTypedBytesMax = 64 << 10;

// What is done at the end of the process, which can be given nothing (AtEnding).
struct LastWord {
  int fd = -1;
  termios before{};
} last_word;

void restore_terminal() noexcept { ::tcsetattr(last_word.fd, TCSANOW, &last_word.before); }

}  // namespace

struct Typing::Settings {
  termios value{};
};

Typing::Typing(int fd) : fd_(fd), before_(std::make_unique<Settings>()) {
  if (::tcgetattr(fd, &before_->value) == -1) {
    throw Error(ErrorCode::invalid_argument, "no_terminal", "standard input is no terminal",
                "for commands without one there is `cellar exec`");
  }
  sigset_t resize;
  sigemptyset(&resize);
  sigaddset(&resize, SIGWINCH);
  resizes_ = Fd(::signalfd(-1, &resize, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!resizes_) throw_errno("signalfd");
  end_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!end_) throw_errno("eventfd");
  ::pthread_sigmask(SIG_BLOCK, &resize, &mask_before_);
  last_word = {.fd = fd, .before = before_->value};
  at_ending_.emplace(restore_terminal);
  termios raw = before_->value;
  ::cfmakeraw(&raw);
  if (::tcsetattr(fd, TCSADRAIN, &raw) == 0) return;
  const int failure = errno;
  ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  throw_errno_value(failure, "tcsetattr");
}

Typing::~Typing() {
  ::tcsetattr(fd_, TCSADRAIN, &before_->value);
  at_ending_.reset();
  ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

Typing::Event Typing::next() {
  std::array<pollfd, 3> waits = {
      {{end_.get(), POLLIN, 0}, {resizes_.get(), POLLIN, 0}, {fd_, POLLIN, 0}}};
  if (retry_on_signal([&] { return ::poll(waits.data(), waits.size(), -1); }) == -1) {
    throw_errno("poll");
  }
  Event event;
  if (waits[0].revents != 0) {
    event.ended = true;
  } else if (waits[1].revents != 0) {
    signalfd_siginfo unused{};
    (void)!::read(resizes_.get(), &unused, sizeof unused);
    event.resized = true;
  } else {
    std::string bytes(kTypedBytesMax, '\0');
    const ssize_t size = retry_on_signal([&] { return ::read(fd_, bytes.data(), bytes.size()); });
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    event.ended = bytes.empty();
    event.bytes = std::move(bytes);
  }
  return event;
}

void Typing::end() noexcept {
  const std::uint64_t one = 1;
  (void)!::write(end_.get(), &one, sizeof one);
}

TerminalSize Typing::size() const {
  winsize size{};
  if (::ioctl(fd_, TIOCGWINSZ, &size) == -1 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {.columns = size.ws_col, .rows = size.ws_row};
}

}  // namespace cellar::sys
