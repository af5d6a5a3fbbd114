#pragma once

#include <map>
#include <string>

#include "sandbox/plan.h"

namespace cellar::spawn {

// Where the parts of each image are. An image that is one packed file is mounted once, in this
// process's mount namespace: all cells see that one mount, and share what is cached of it.
class Images {
 public:
  explicit Images(sandbox::Image dev) : dev_(std::move(dev)) {}

  // `dir` is the folder of an image (image/store.h); empty: the dev image. Throws Error.
  const sandbox::Image& get(const std::string& dir);

 private:
  sandbox::Image dev_;
  std::map<std::string, sandbox::Image> known_;
};

}  // namespace cellar::spawn
