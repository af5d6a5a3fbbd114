#pragma once

#include <string>

#include "sandbox/plan.h"

namespace cellar::spawn {

// Makes the "dev" image in `<state>/images`, if it is not there in this version, and says where its
// parts are: /usr and the package database are the host's own, seen read-only; / is a skeleton of
// ours with a copy of those files in the host's /etc that say nothing about the host (kEtcAllowed
// in image.cc). A changed host gives a new folder, named by its content: cells that run keep
// theirs. On a full disk it is the one that was made last. Its files belong to the cells' root.
// What a spawner left that was killed while it made one is removed, and an image that has lost
// files with the machine's power is made anew. Blocking: some 10 ms, 100 ms where it is made.
// Throws Error.
sandbox::Image prepare_dev_image(const std::string& state_dir, sandbox::Rights rights);

}  // namespace cellar::spawn
