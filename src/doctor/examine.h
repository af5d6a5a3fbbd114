#pragma once

#include <cstdint>
#include <string>

#include "doctor/finding.h"
#include "doctor/user.h"

namespace cellar::doctor {

enum class Depth : std::uint8_t {
  quick,  // what a daemon must know when it starts: a fraction of a second
  all,    // other people's programs are tried, too: seconds
};

struct Options {
  std::string state;  // the daemon's folder; need not be there yet
  std::string seal_key_file;
  Depth depth = Depth::all;
  User user;  // who this process is by now
};

// Looks at the host: tries what can be tried, with a time limit each, and leaves nothing behind.
// For programs that have one thread (a child is forked). Blocking. Throws Error where no child can
// be started at all.
Findings examine(const Options& options);

// Whether `path` is `folder` or in it, links followed.
bool is_inside(const std::string& path, const std::string& folder);

}  // namespace cellar::doctor
