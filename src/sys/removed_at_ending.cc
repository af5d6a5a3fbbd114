#include "sys/removed_at_ending.h"

#include <unistd.h>

#include <atomic>
#include <utility>

namespace cellar::sys {
namespace {

std::atomic<const char*> name_at_ending = nullptr;
static_assert(std::atomic<const char*>::is_always_lock_free);

void remove_at_ending() noexcept {
  const char* name = name_at_ending.exchange(nullptr);
  if (name != nullptr) ::unlink(name);
}

}  // namespace

RemovedAtEnding::RemovedAtEnding(std::string path)
    : path_(std::move(path)), at_ending_(remove_at_ending) {
  name_at_ending = path_.c_str();
}

RemovedAtEnding::~RemovedAtEnding() { name_at_ending = nullptr; }

}  // namespace cellar::sys
