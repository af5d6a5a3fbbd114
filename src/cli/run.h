#pragma once

namespace cellar::cli {

// The descriptors that the program reads and writes.
struct Streams {
  int in = 0;
  int out = 1;
  int err = 2;
};

// The program: reads the command line and the environment, does what they say, and reports a
// failure as one line on `err`. Returns the exit code (README.md lists them).
int run(int argc, const char* const* argv, const Streams& streams);

}  // namespace cellar::cli
