#pragma once

#include <functional>
#include <string>

namespace cellar::sys {

// Removes a tree, or a file, never following a symbolic link; nothing happens where there is none.
// A tree may be of any depth: few descriptors are open. `go_on` is asked before each name; false
// where it said no, and what was left by then is there still. Nobody else may change the tree
// meanwhile. Blocking. Throws Error.
bool remove_tree_while(const std::string& path, const std::function<bool()>& go_on);

}  // namespace cellar::sys
