#pragma once

#include <cerrno>

namespace cellar::sys {

// Makes a system call, again and again while a signal interrupts it. Returns its result; errno is
// the last attempt's. Not for close(2), which must never be repeated.
template <typename Call>
auto retry_on_signal(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace cellar::sys
