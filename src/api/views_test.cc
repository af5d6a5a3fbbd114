#include "api/views.h"

#include <doctest/doctest.h>

#include <string>

#include "base/clock.h"
#include "json/json.h"

namespace cellar::api {
namespace {

void add_step(cell::Run& run, std::uint32_t ordinal, const std::string& kind) {
  cell::Step& step = run.steps[ordinal];
  step.ordinal = ordinal;
  step.kind = kind;
  step.name = "a step";
  step.status = cell::StepStatus::ok;
}

}  // namespace

TEST_CASE("the steps of a long run are told some at a time, each once") {
  constexpr std::uint32_t kCount = 2'500;
  cell::Run run;
  for (std::uint32_t ordinal = 1; ordinal <= kCount; ++ordinal) add_step(run, ordinal, "step");
  add_step(run, kCount + 1, "now");  // Shown to nobody.
  StepsJson steps;
  CHECK(add_steps(steps, run, cell::View::live));
  CHECK(steps.list.size() == 1'000);
  run.steps.erase(steps.next);  // It may change meanwhile.
  CHECK(add_steps(steps, run, cell::View::live));
  CHECK_FALSE(add_steps(steps, run, cell::View::live));
  REQUIRE(steps.list.size() == kCount - 1);
  CHECK(steps.list[999].find("ordinal")->as_int() == 1'000);
  CHECK(steps.list[1'000].find("ordinal")->as_int() == 1'002);
  CHECK(steps.list.back().find("ordinal")->as_int() == kCount);
  CHECK(steps.text_bytes > json::dump(json::Value(steps.list)).size() / 2);
}

TEST_CASE("a step that waits says until when, and for what") {
  cell::Run run;
  add_step(run, 1, "wait");
  run.steps[1].status = cell::StepStatus::open;
  run.steps[1].args = R"({"type":"paid","until":86400000})";
  StepsJson steps;
  CHECK_FALSE(add_steps(steps, run, cell::View::committed));
  REQUIRE(steps.list.size() == 1);
  CHECK(steps.list[0].find("status")->as_string() == "waiting");
  CHECK(steps.list[0].find("until")->as_string() == to_iso8601(from_unix_ms(86'400'000)));
  CHECK(steps.list[0].find("type")->as_string() == "paid");
}

}  // namespace cellar::api
