#include "base/fault.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"

namespace cellar {
namespace {

class Faults {
 public:
  explicit Faults(std::string plan_file)
      : plan_file_(std::move(plan_file)), hits_(std::fopen((plan_file_ + ".hits").c_str(), "a")) {
    if (hits_ == nullptr) throw_errno("open", plan_file_ + ".hits");
  }

  // The action of the plan, where it is for this place and time.
  std::optional<std::string> reach(const std::string& name) {
    const std::lock_guard lock(mutex_);
    std::fprintf(hits_, "%s\n", name.c_str());
    std::fflush(hits_);  // Before the action: this may be the last thing that the process does.
    read_plan();
    if (++reached_[name] != occurrence_ || name != name_) return std::nullopt;
    return action_;
  }

 private:
  void read_plan() {
    std::ostringstream text;
    text << std::ifstream(plan_file_).rdbuf();
    if (text.str() == plan_) return;
    plan_ = text.str();
    reached_.clear();
    name_.clear();
    std::istringstream(plan_) >> name_ >> occurrence_ >> action_;
  }

  const std::string plan_file_;
  std::FILE* const hits_;
  std::mutex mutex_;  // Points are reached on the loop thread and on those of the pool.
  std::string plan_;
  std::string name_;
  std::uint64_t occurrence_ = 0;
  std::string action_;
  std::map<std::string, std::uint64_t> reached_;
};

Faults* faults = nullptr;  // Lives as long as the process.

// N of "WORD=N".
std::optional<std::int64_t> number_after(const std::string& action, std::string_view word) {
  if (!action.starts_with(word)) return std::nullopt;
  return parse_int(std::string_view(action).substr(word.size()));
}

}  // namespace

namespace detail {

std::atomic<bool> faults_armed{false};

void reach_fault_point(const char* name) {
  const std::optional<std::string> action = faults->reach(name);
  if (!action) return;
  if (*action == "kill") {
    std::raise(SIGKILL);
  } else if (*action == "stop") {
    std::raise(SIGSTOP);
  } else if (const auto error = number_after(*action, "errno=")) {
    throw_errno_value(static_cast<int>(*error), "fault point", name);
  } else {
    const auto delay = number_after(*action, "delay=");
    CELLAR_CHECK(delay.has_value());
    std::this_thread::sleep_for(std::chrono::milliseconds(*delay));
  }
}

}  // namespace detail

void arm_faults(const std::string& plan_file) {
  CELLAR_CHECK(faults == nullptr);
  faults = new Faults(plan_file);
  detail::faults_armed = true;
}

}  // namespace cellar
