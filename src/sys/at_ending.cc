#include "sys/at_ending.h"

#include <atomic>

namespace cellar::sys {
namespace {

// A handler of signals can be given nothing.
std::atomic<AtEnding::Act> act_at_ending = nullptr;
static_assert(std::atomic<AtEnding::Act>::is_always_lock_free);

// The process may wait for anything just then: whoever waits could not do it.
void act_and_end(int signal) {
  if (const AtEnding::Act act = act_at_ending.load(); act != nullptr) act();
  ::raise(signal);  // SA_RESETHAND: once this returns, it ends the process.
}

}  // namespace

AtEnding::AtEnding(Act act) {
  act_at_ending = act;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_DFL) continue;
    struct sigaction action{};
    action.sa_handler = act_and_end;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(kSignals[i], &action, nullptr);
  }
}

AtEnding::~AtEnding() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], &before_[i], nullptr);
  }
  act_at_ending = nullptr;
}

}  // namespace cellar::sys
