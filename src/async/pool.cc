#include "async/pool.h"

namespace cellar::async {

Pool::Pool(unsigned thread_count) {
  try {
    for (unsigned count = 0; count < thread_count; ++count) {
      Worker& worker = workers_.emplace_back();
      worker.thread = std::thread([this, &worker] { work(worker); });
    }
  } catch (...) {
    end();
    throw;
  }
}

Pool::~Pool() { end(); }

void Pool::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    for (Worker* worker : idle_) worker->is_called = true;
    idle_.clear();
  }
  for (Worker& worker : workers_) {
    worker.called.notify_one();
    if (worker.thread.joinable()) worker.thread.join();
  }
}

void Pool::add(Job job) {
  Worker* newest = nullptr;
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    if (!idle_.empty()) {
      newest = idle_.back();
      idle_.pop_back();
      newest->is_called = true;
    }
  }
  if (newest != nullptr) newest->called.notify_one();
}

void Pool::work(Worker& self) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!jobs_.empty()) {
      {
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job.run();
      }
      lock.lock();
    } else if (is_ending_) {
      return;
    } else {
      idle_.push_back(&self);
      self.called.wait(lock, [&self] { return self.is_called; });
      self.is_called = false;
    }
  }
}

}  // namespace cellar::async
