#pragma once

#include <string>

#include "base/error.h"
#include "journal/storage.h"

namespace cellar::journal {

// Removes a half-made file where making it fails: it may be large, and the disk full.
class Unfinished {
 public:
  Unfinished(Storage& storage, std::string name) : storage_(storage), name_(std::move(name)) {}
  ~Unfinished() {
    if (finished_) return;
    try {
      storage_.remove(name_);
    } catch (const Error&) {  // The next opening removes it; the first failure is what is told.
    }
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  void finish() noexcept { finished_ = true; }

 private:
  Storage& storage_;
  std::string name_;
  bool finished_ = false;
};

}  // namespace cellar::journal
