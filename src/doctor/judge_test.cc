#include "doctor/judge.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.h"

namespace cellar::doctor {
namespace {

constexpr const char* kForReduced[] = {"user",          "namespace.user", "namespace.mount",
                                       "namespace.pid", "namespace.net",  "namespace.ipc",
                                       "namespace.uts", "mounts.new",     "mounts.overlay",
                                       "seccomp",       "no_new_privs"};
constexpr const char* kForFull[] = {"namespace.cgroup", "mounts.idmapped", "cgroup.memory",
                                    "cgroup.pids",      "cgroup.cpu",      "cgroup.into",
                                    "cgroup.freeze",    "cgroup.kill"};

Findings all_well() {
  Findings findings;
  for (const char* id : kForReduced)
    findings.push_back({id, Group::native, Verdict::ok, "", "", ""});
  for (const char* id : kForFull) findings.push_back({id, Group::native, Verdict::ok, "", "", ""});
  findings.push_back({"gvisor.runsc", Group::gvisor, Verdict::ok, "runsc 1", "", ""});
  findings.push_back({"gvisor.platform", Group::gvisor, Verdict::ok, "systrap", "", ""});
  findings.push_back({"swap", Group::host, Verdict::missing, "none", "", ""});
  return findings;
}

Findings without(const std::string& id) {
  Findings findings = all_well();
  for (Finding& finding : findings) {
    if (finding.id == id) {
      finding = {id, finding.group, Verdict::missing, id + " is not there", "bad", "get " + id};
    }
  }
  return findings;
}

std::string state_of(const Judgement& judgement, std::string_view runtime) {
  for (const RuntimeState& state : judgement.runtimes) {
    if (state.name == runtime) return state.state + (state.why.empty() ? "" : ": " + state.why);
  }
  return "not told";
}

}  // namespace

TEST_CASE("a host that has everything satisfies both levels, whatever else is missing") {
  CHECK(judge(all_well(), Level::reduced).satisfied);
  const Judgement judgement = judge(all_well(), Level::full);
  CHECK(judgement.satisfied);
  CHECK(judgement.lacking.empty());
  CHECK(state_of(judgement, "native") == "full");
  CHECK(state_of(judgement, "gvisor") == "available: systrap");
  require(judgement, Level::full);
}

TEST_CASE("each thing that a level needs makes it unsatisfied where it is missing") {
  for (const char* id : kForReduced) {
    CAPTURE(id);
    CHECK(!judge(without(id), Level::reduced).satisfied);
    CHECK(!judge(without(id), Level::full).satisfied);
    CHECK(state_of(judge(without(id), Level::full), "native") ==
          "unavailable: lacks " + std::string(id));
  }
  for (const char* id : kForFull) {
    CAPTURE(id);
    CHECK(judge(without(id), Level::reduced).satisfied);
    CHECK(!judge(without(id), Level::full).satisfied);
    CHECK(state_of(judge(without(id), Level::full), "native") ==
          "reduced: lacks " + std::string(id));
  }
}

TEST_CASE("a warning satisfies; what was not examined does not") {
  Findings findings = all_well();
  findings[1].verdict = Verdict::warning;
  CHECK(judge(findings, Level::full).satisfied);
  findings.erase(findings.begin() + 1);
  const Judgement judgement = judge(findings, Level::full);
  CHECK(!judgement.satisfied);
  REQUIRE(judgement.lacking.size() == 1);
  CHECK(judgement.lacking[0].id == "namespace.user");
}

TEST_CASE("gvisor is unavailable for the reason that was found") {
  CHECK(state_of(judge(without("gvisor.runsc"), Level::full), "gvisor") ==
        "unavailable: gvisor.runsc is not there");
  CHECK(state_of(judge(without("gvisor.platform"), Level::full), "gvisor") ==
        "unavailable: gvisor.platform is not there");
  CHECK(judge(without("gvisor.runsc"), Level::full).satisfied);
}

TEST_CASE("the refusal names everything that is lacking, and how to get it") {
  try {
    require(judge(without("cgroup.pids"), Level::full), Level::full);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(error.reason() == "below_level");
    CHECK(text.find("level \"full\"") != std::string::npos);
    CHECK(text.find("cgroup.pids: cgroup.pids is not there (bad)\n    get cgroup.pids") !=
          std::string::npos);
  }
}

TEST_CASE("a level has one of two names") {
  CHECK(parse_level("full") == Level::full);
  CHECK(parse_level("reduced") == Level::reduced);
  CHECK(!parse_level("Full"));
  CHECK(!parse_level(""));
}

TEST_CASE("a user with ids has reduced isolation, and no gVisor; one without has nothing") {
  Findings findings = without("cgroup.memory");
  findings.front() = {"user", Group::host, Verdict::warning, "uid 1000", "", ""};
  const Judgement judgement = judge(findings, Level::full);
  CHECK_FALSE(judgement.satisfied);
  CHECK(judgement.reduced_is_there);
  CHECK(state_of(judgement, "native") == "reduced: lacks cgroup.memory");
  CHECK(state_of(judgement, "gvisor") == "unavailable: needs a daemon that root starts");
  CHECK(state_of(judge(without("user"), Level::reduced), "native") == "unavailable: lacks user");
}

}  // namespace cellar::doctor
