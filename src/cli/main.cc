#include "cli/run.h"
#include "sys/fd.h"

int main(int argc, char** argv) {
  cellar::sys::fill_standard_streams();
  const cellar::cli::Streams streams;
  return cellar::cli::run(argc, argv, streams);
}
