#include "cli/run.h"

int main(int argc, char** argv) {
  const cellar::cli::Streams streams;
  return cellar::cli::run(argc, argv, streams);
}
