#include "async/lane.h"

namespace cellar::async {

void Lane::State::add(Job job) {
  const std::lock_guard lock(mutex);
  jobs.push_back(std::move(job));
  if (jobs.size() == 1) pool.post([state = shared_from_this()] { state->run_first(); });
}

// Others of the pool have their turn between two of them.
void Lane::State::run_first() {
  {
    std::unique_lock lock(mutex);
    Job job = std::move(jobs.front());
    lock.unlock();
    job.run();
  }
  const std::lock_guard lock(mutex);
  jobs.pop_front();
  if (!jobs.empty()) pool.post([state = shared_from_this()] { state->run_first(); });
}

}  // namespace cellar::async
