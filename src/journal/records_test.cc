#include "journal/records.h"

#include <doctest/doctest.h>

#include "journal/cbor.h"

namespace cellar::journal {
namespace {

template <typename Body>
void check_round_trip(const Body& body) {
  CHECK(Body::decode(body.encode()) == body);
}

const Payload kPayloadInBlob = {
    .bytes = {}, .blob = BlobRef{.digest = std::string(64, 'a'), .size_bytes = 70000}};

}  // namespace

TEST_CASE("every body is decoded to what was encoded, with all members and with the fewest") {
  check_round_trip(RunCreated{});
  check_round_trip(RunCreated{.run_id = "run_1",
                              .method = "m",
                              .params = "{\"a\":1}",
                              .agent_digest = "d",
                              .agent_language = "python",
                              .idem_key = "",
                              .setup = true,
                              .created_ns = ~std::uint64_t{0}});
  check_round_trip(RunAttempt{.n = ~0u, .epoch = 5, .cause = "oom", .boot_id = "b"});
  check_round_trip(StepStart{});
  check_round_trip(StepStart{.kind = "shell",
                             .name = "caf\xc3\xa9",
                             .occ = 2,
                             .args_fp = "f",
                             .policy = "fail",
                             .args = "[]"});
  check_round_trip(StepAttemptFailed{.attempt = 1, .error = "{}", .next_at_ns = 9});
  check_round_trip(StepEnd{.ok = true, .codec = "json", .value = {.bytes = "null"}});
  check_round_trip(StepEnd{.ok = false, .codec = "raw", .value = kPayloadInBlob});
  check_round_trip(StepInterrupted{.attempt = 3, .cause = "agent_exit"});
  check_round_trip(Value{.kind = "now", .name = "n", .args_fp = "", .value = {.bytes = "1"}});
  check_round_trip(Value{.kind = "store.read", .value = kPayloadInBlob});
  check_round_trip(Event{.type = "stdout", .data = "{\"text\":\"x\"}"});
  check_round_trip(Event{.type = "stream", .data = "1", .step = 7, .turn = 2});
  check_round_trip(Progress{.value = "1", .turn = 2});
  check_round_trip(CancelRequested{});
  check_round_trip(CancelRequested{.rollback = true});
  check_round_trip(StepStart{.kind = "step", .name = "s", .occ = 1, .sensitive = true});
  check_round_trip(StepEnd{.ok = true, .value = {.bytes = {"\0\xff", 2}}, .sealed = true});
  check_round_trip(Progress{.value = "AAAA", .sealed = true});
  check_round_trip(Paused{.reason = "crash_loop", .detail = "{}"});
  check_round_trip(Paused{.reason = "r"});
  check_round_trip(Resumed{});
  check_round_trip(Resumed{.skips_setup = true});
  check_round_trip(Left{});
  check_round_trip(RunEnded{.status = "failed", .value = kPayloadInBlob});
  check_round_trip(Trim{.first_kept = 77});
  check_round_trip(Trim{.first_kept = 77, .first_run = 5, .setup_done = true});
}

TEST_CASE("a name that is not UTF-8 comes back as it was") {
  check_round_trip(Event{.type = "\xff\xfe", .data = std::string("\0", 1)});
}

TEST_CASE("members that a later version adds are skipped, missing and wrong ones refused") {
  const auto encode = [](cbor::Map map) { return cbor::encode(std::move(map)); };
  CHECK(Trim::decode(encode({{"first_kept", 5u}, {"later", cbor::Array{1.5}}})) ==
        Trim{.first_kept = 5});
  CHECK_FALSE(Trim::decode(encode({})).has_value());
  CHECK_FALSE(Trim::decode(encode({{"first_kept", "5"}})).has_value());
  CHECK_FALSE(
      RunAttempt::decode(
          encode({{"n", std::uint64_t{1} << 32}, {"epoch", 1u}, {"cause", ""}, {"boot_id", ""}}))
          .has_value());
  CHECK_FALSE(
      StepEnd::decode(encode({{"ok", true}, {"codec", "json"}, {"blob", true}})).has_value());
  CHECK_FALSE(Event::decode("").has_value());
  CHECK_FALSE(Event::decode(cbor::encode(cbor::Array{})).has_value());
}

TEST_CASE("a record that names a blob is flagged, and an event is a hint") {
  StepEnd end;
  CHECK(end.flags() == 0);
  end.value = kPayloadInBlob;
  CHECK(end.flags() == kBlob);
  CHECK(Event{}.flags() == kHint);
}

}  // namespace cellar::journal
