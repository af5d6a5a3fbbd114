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

TEST_CASE("memory pressure is read from what the kernel writes, and from nothing else") {
  const auto pressure = parse_memory_pressure(
      "some avg10=12.50 avg60=3.00 avg300=0.10 total=33055226\n"
      "full avg10=1.05 avg60=0.00 avg300=0.00 total=29564027\n");
  REQUIRE(pressure);
  CHECK(pressure->some == doctest::Approx(12.5));
  CHECK(pressure->full == doctest::Approx(1.05));
  for (const char* text :
       {"", "some avg10=1.00 avg60=0.00\n", "some avg10=x\nfull avg10=1.00\n",
        "some avg10=1\nfull avg10=1.00\n", "some avg10=-1.00\nfull avg10=1.00\n"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_memory_pressure(text));
  }
  CHECK_NOTHROW(memory_pressure());
}

}  // namespace cellar::sys
