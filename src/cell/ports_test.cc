#include "cell/ports.h"

#include <doctest/doctest.h>

namespace cellar::cell {
namespace {

sys::ListeningPort port(std::uint16_t number, bool is_v6 = false, std::uint32_t uid = 7) {
  sys::ListeningPort made;
  made.port = number;
  made.is_v6 = is_v6;
  made.uid = uid;
  return made;
}

}  // namespace

TEST_CASE("a preview goes to the port asked for, the configured one, or the lowest from 1024 on") {
  const std::vector<sys::ListeningPort> listening = {port(22), port(5173, true), port(8080),
                                                     port(5173)};
  CHECK(choose_port(listening, {}, {}) == port(5173));
  CHECK(choose_port(listening, {}, 8080) == port(8080));
  CHECK(choose_port(listening, 22, 8080) == port(22));
  CHECK_FALSE(choose_port(listening, 1, 8080));
  CHECK_FALSE(choose_port(listening, {}, 1));
  CHECK_FALSE(choose_port({port(1023)}, {}, {}));
  CHECK(choose_port({port(1024, true)}, {}, {}) == port(1024, true));
}

TEST_CASE("the daemon's own listeners in a cell are none of the cell's") {
  CHECK(servers_of_cell({port(443, false, 0), port(8080), port(5432, false, 0)}) ==
        std::vector{port(8080)});
}

TEST_CASE("a server at another address than loopback ones is none that is reached") {
  sys::ListeningPort loopback = port(8080);
  loopback.address = {127, 1, 2, 3};
  sys::ListeningPort loopback_v6 = port(8081, true);
  loopback_v6.address[15] = 1;
  sys::ListeningPort mapped = port(8082, true);
  mapped.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 127, 0, 0, 1};
  sys::ListeningPort elsewhere = port(8083);
  elsewhere.address = {10, 0, 0, 5};
  sys::ListeningPort elsewhere_v6 = port(8084, true);
  elsewhere_v6.address[0] = 0x20;
  CHECK(servers_of_cell({loopback, elsewhere, loopback_v6, elsewhere_v6, mapped}) ==
        std::vector{loopback, loopback_v6, mapped});
}

TEST_CASE("a port opens once, however many listen on it, and closes with the last") {
  PortTable table;
  const WallTime start = from_unix_ms(1000);
  const WallTime later = from_unix_ms(2000);
  using Changes = std::vector<PortTable::Change>;
  CHECK(table.update({port(80), port(80, true)}, start) == Changes{{80, true}});
  CHECK(table.update({port(80), port(90)}, later) == Changes{{90, true}});
  CHECK(table.list() == std::vector<OpenPort>{{80, start}, {90, later}});
  CHECK(table.update({port(90)}, later) == Changes{{80, false}});
  CHECK(table.update({}, later) == Changes{{90, false}});
  CHECK(table.empty());
}

TEST_CASE("of very many ports the lowest are kept") {
  PortTable table;
  std::vector<sys::ListeningPort> many;
  for (std::uint16_t i = 1; i <= PortTable::kCountMax + 5; ++i) many.push_back(port(i));
  CHECK(table.update(many, {}).size() == PortTable::kCountMax);
  CHECK(table.list().back().port == PortTable::kCountMax);
}

}  // namespace cellar::cell
