#include "testing/golden.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace cellar::testing {

std::string golden(const std::string& path, const std::string& text) {
  if (std::getenv("UPDATE") != nullptr) std::ofstream(path, std::ios::binary) << text;
  std::ostringstream contents;
  contents << std::ifstream(path, std::ios::binary).rdbuf();
  return contents.str();
}

}  // namespace cellar::testing
