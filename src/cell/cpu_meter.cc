#include "cell/cpu_meter.h"

namespace cellar::cell {

void CpuMeter::add(Time at, std::chrono::microseconds used) {
  if (!samples_.empty() && used < samples_.back().used) samples_.clear();
  samples_.push_back({at, used});
  while (samples_.size() > 2 && samples_[1].at <= at - kWindow) samples_.pop_front();
}

double CpuMeter::share() const noexcept {
  if (samples_.size() < 2) return 0;
  const std::chrono::duration<double> time = samples_.back().at - samples_.front().at;
  const std::chrono::duration<double> used = samples_.back().used - samples_.front().used;
  return time.count() > 0 ? used / time : 0;
}

}  // namespace cellar::cell
