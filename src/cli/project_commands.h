#pragma once

#include <string>
#include <vector>

namespace cellar::cli {

// A folder with an agent, and what is done with it.

struct Init {
  std::string folder = ".";
};
struct Deploy {
  std::string path;  // the agent's file, or its folder
  std::vector<std::string> cell_ids;
  bool all = false;  // all cells that have an agent
};
struct Dev {
  std::string path = ".";
  std::string customer_id = "dev";
};

}  // namespace cellar::cli
