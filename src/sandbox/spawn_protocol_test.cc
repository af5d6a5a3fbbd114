#include "sandbox/spawn_protocol.h"

#include <doctest/doctest.h>

using namespace cellar::sandbox;

TEST_CASE("every message to and from the spawner comes back as it was") {
  MakeDomain make;
  make.spec = {.cell_id = "dev--a",
               .kind = DomainKind::agent,
               .runtime = Runtime::gvisor,
               .rights = Rights::user,
               .cell_dir = "/s/cells/dev--a",
               .uid_base = 0x10000000,
               .tmp_bytes = 64 << 20,
               .pids_max = 512,
               .binds = {{"/h", "/p"}}};
  make.socket_path = "/s/cells/dev--a/run/agent.sock";
  make.slot = "1f-3";
  make.platform = "systrap";
  const SpawnRequest listen = ListenIn{{{53, true}, {443}, {3128, false, true}}};
  DomainSpec warm = make.spec;
  warm.part = Part::warm;
  for (const SpawnRequest& request :
       {SpawnRequest(make), listen, SpawnRequest(ProbeGvisor{"ptrace"}),
        SpawnRequest(Personalize{warm, 7, std::uint64_t{1} << 40}),
        SpawnRequest(SocketIn{SocketIn::Kind::diagnostics}),
        SpawnRequest(Adopt{"/s/fresh/7", "/s/cells/dev--a", "dev--a"})}) {
    const std::string bytes = encode(7, request);
    CHECK(number_of(bytes) == 7);
    CHECK(decode_spawn_request(bytes) == request);
  }
  for (const SpawnAnswer& answer :
       {SpawnAnswer(DomainMade{7, "1f-3"}), SpawnAnswer(Listening{"no"}),
        SpawnAnswer(SpawnFailed{"no"}), SpawnAnswer(RunscStarted{"1f-4"}), SpawnAnswer(Personal{}),
        SpawnAnswer(SocketMade{}), SpawnAnswer(MountsStay{})}) {
    const std::string bytes = encode(8, answer);
    CHECK(number_of(bytes) == 8);
    CHECK(decode_spawn_answer(bytes) == answer);
  }
  const BlankRequest prepare = Prepare{{{"/m", "/c"}, "/g"}};
  const BlankRequest assign = Assign{make.spec, {"/root", "/agent", "", "/packages"}, "shell.sock"};
  for (const BlankRequest& request : {prepare, assign}) {
    CHECK(decode_blank_request(encode(request)) == request);
  }
}

TEST_CASE("bytes that are no message, or only a part of one, are refused") {
  MakeDomain make;
  make.spec.binds = {{"/h", "/p"}};
  const std::string whole = encode(1, SpawnRequest(make));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(decode_spawn_request(whole.substr(0, size)));
  }
  CHECK_FALSE(decode_spawn_request(whole + "x"));
  CHECK(number_of("\x01\x02") == 0);
  CHECK_FALSE(decode_spawn_answer("1234\x01"));
  CHECK_FALSE(decode_spawn_request("1234\x04\x03"));
  CHECK_FALSE(decode_spawn_request("1234\x06\x03"));
  CHECK_FALSE(decode_blank_request(encode(BlankRequest(Prepare())) + "x"));
  CHECK_FALSE(decode_blank_request("\x04"));
  ListenIn many;
  many.ports.resize(ListenIn::kPortsMax + 1);
  CHECK_FALSE(decode_spawn_request(encode(1, SpawnRequest(many))));
}
