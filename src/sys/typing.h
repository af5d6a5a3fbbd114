#pragma once

#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include "sys/at_ending.h"
#include "sys/fd.h"
#include "sys/terminal.h"

namespace cellar::sys {

// What a person types at a terminal, key by key and with nothing shown, until this is destroyed:
// then the terminal is as it was before. It is, too, where SIGHUP, SIGINT, SIGQUIT or SIGTERM ends
// the process.
//
// Belongs to one thread, but for end(). Other threads are started while it exists, or block
// SIGWINCH. One exists at a time.
class Typing {
 public:
  // Throws Error `invalid_argument`, reason `no_terminal`, where `fd` is none.
  explicit Typing(int fd);
  ~Typing();
  Typing(const Typing&) = delete;
  Typing& operator=(const Typing&) = delete;

  struct Event {
    std::string bytes;     // that were typed
    bool resized = false;  // the terminal has another size
    bool ended = false;    // nothing follows: it is gone, or end() was called
  };
  // Waits for the next one. Throws Error.
  Event next();
  // Any thread: next() says that it has ended from now on.
  void end() noexcept;

  TerminalSize size() const;

 private:
  struct Settings;

  int fd_;
  Fd end_;
  Fd resizes_;
  sigset_t mask_before_{};
  std::unique_ptr<Settings> before_;
  std::optional<AtEnding> at_ending_;
};

}  // namespace cellar::sys
