#include "sys/machine_memory.h"

#include <doctest/doctest.h>

namespace cellar::sys {

TEST_CASE("memory is what the kernel says, in bytes") {
  const MachineMemory memory = parse_meminfo(
      "MemTotal:       24574008 kB\nMemFree:          123456 kB\nMemAvailable:   20000000 kB\n"
      "HugePages_Total:       0\n");
  CHECK(memory.total == 24574008ULL * 1024);
  CHECK(memory.available == 20000000ULL * 1024);
  CHECK(parse_meminfo("MemTotal: many kB\nnonsense").total == 0);
  CHECK(parse_meminfo("").available == 0);
}

TEST_CASE("this machine has memory, and not more of it than there is") {
  const MachineMemory memory = machine_memory();
  CHECK(memory.available > 0);
  CHECK(memory.available <= memory.total);
}

}  // namespace cellar::sys
