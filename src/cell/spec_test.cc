#include "cell/spec.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cellar::cell {

TEST_CASE("a cell's record comes back as it was written") {
  CellSpec spec;
  spec.cell_id = "dev-a--x";
  spec.owner_id = "dev-a";
  spec.customer_id = "x \"y\"";
  spec.tier = "standard";
  spec.permanent = true;
  spec.runtime = sandbox::Runtime::gvisor;
  spec.agent_digest = "abc";
  spec.agent_language = AgentLanguage::python;
  spec.network.policy = {.allow = {"registry.npmjs.org", "127.0.0.1:80"}, .deny = {"*.evil.test"}};
  spec.network.shell = net::PolicyText{.allow = {}, .deny = {}, .presets = {"npm"}};
  spec.network.limits = {.connections = 7, .bytes_per_s = 1'000'000, .bytes = 9};
  spec.idle_timeout = std::chrono::seconds(7);
  spec.max_awake = std::chrono::seconds(8);
  spec.kept_alive_until = from_unix_ms(1'234'567);
  spec.wake_at = from_unix_ms(2'345'678);
  spec.run_retention = std::chrono::seconds(9);
  spec.uid_index = 12;
  spec.has_secrets = true;
  spec.file_events = true;
  spec.preview_access = PreviewAccess::everybody;
  spec.preview_port = 5173;
  spec.created_at = from_unix_ms(1700000000123);
  const CellSpec back = decode_cell_spec(encode(spec));
  CHECK(encode(back) == encode(spec));
  CHECK(back.customer_id == spec.customer_id);
  CHECK(back.network == spec.network);
  CHECK(back.uid_index == 12);
  CHECK(back.wake_at == spec.wake_at);
  CHECK(back.preview_access == PreviewAccess::everybody);
  CHECK(back.preview_port == 5173);
  CHECK(back.run_retention == spec.run_retention);
  CHECK(back.file_events);
  CHECK(back.runtime == sandbox::Runtime::gvisor);
  CHECK(back.agent_language == AgentLanguage::python);
}

TEST_CASE("a torn or foreign record is corrupt, and never taken for a cell") {
  const std::string whole = encode(CellSpec{.cell_id = "a", .owner_id = "b", .customer_id = "c"});
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
    CAPTURE(size);
    try {
      decode_cell_spec(whole.substr(0, size));
      FAIL("a torn record was read");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::corrupt);
    }
  }
  CHECK_THROWS_AS(decode_cell_spec(R"({"version":2})"), Error);
}

TEST_CASE("no two uid ranges overlap, and all stay below the highest id") {
  CHECK(shell_uid_base(0) - agent_uid_base(0) == kUidRange);
  CHECK(agent_uid_base(1) - shell_uid_base(0) == kUidRange);
  CHECK(std::uint64_t{kUidBase} + std::uint64_t{kUidIndexMax} * 2 * kUidRange + 2 * kUidRange <
        0xfffffffeULL);
}

TEST_CASE("a tier that is not there is refused with those that are") {
  CHECK(tier_of("starter").limits.cpu_millis == 1000);
  CHECK_THROWS_AS(tier_of("huge"), Error);
  CHECK_THROWS_AS(parse_preview_access("open"), Error);
}

}  // namespace cellar::cell
