#pragma once

#include <string>

#include "sys/at_ending.h"

namespace cellar::sys {

// A name whose file is removed where a signal ends the process while this exists (AtEnding). It may
// be made before the file is, and stay after the file has another name. One exists at a time.
class RemovedAtEnding {
 public:
  explicit RemovedAtEnding(std::string path);
  ~RemovedAtEnding();
  RemovedAtEnding(const RemovedAtEnding&) = delete;
  RemovedAtEnding& operator=(const RemovedAtEnding&) = delete;

 private:
  std::string path_;
  AtEnding at_ending_;
};

}  // namespace cellar::sys
