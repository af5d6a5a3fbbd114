#include "testing/temp_dir.h"

#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace cellar::testing {

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "cellar-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace cellar::testing
