#pragma once

#include <string>
#include <vector>

namespace cellar::sys {

// A program's words as exec(3) takes them; they must outlive it unchanged.
inline std::vector<char*> argv_of(const std::string& name,
                                  const std::vector<std::string>& arguments) {
  std::vector<char*> argv = {const_cast<char*>(name.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  return argv;
}

}  // namespace cellar::sys
