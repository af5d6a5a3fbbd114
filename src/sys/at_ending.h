#pragma once

#include <array>
#include <csignal>

namespace cellar::sys {

// While it exists, `act` is called where SIGHUP, SIGINT, SIGQUIT or SIGTERM ends the process, which
// that signal ends all the same. One that is ignored (nohup(1)) or handled already stays so.
//
// `act` is called by a handler of signals, in any thread: it calls only what is safe there, and
// what it needs is whole before this is made. One exists at a time.
class AtEnding {
 public:
  using Act = void (*)() noexcept;

  explicit AtEnding(Act act);
  ~AtEnding();
  AtEnding(const AtEnding&) = delete;
  AtEnding& operator=(const AtEnding&) = delete;

 private:
  static constexpr std::array kSignals = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace cellar::sys
