#include "cli/patience.h"

#include <algorithm>
#include <thread>

namespace cellar::cli {

void Patience::heard() {
  was_heard_ = true;
  last_heard_ = Clock::now();
}

bool Patience::is_left() const { return was_heard_ && Clock::now() - last_heard_ <= kAwayMax; }

void Patience::wait(std::chrono::milliseconds at_least) {
  std::this_thread::sleep_for(std::max(pause_, std::min(at_least, kPauseMax)));
  pause_ = std::min(pause_ * 2, kPauseMax);
}

}  // namespace cellar::cli
