#include "sandbox/plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "testing/golden.h"

using namespace cellar;
using namespace cellar::sandbox;

namespace {

const Image kImage{"/s/images/dev-1/root", "/s/images/dev-1/agent", "/usr", "/var/lib/dpkg"};

// An image of our own is whole.
const Image kOwnImage{"/s/images/ab12/mount", "/s/images/dev-1/agent", "", ""};

DomainSpec domain(DomainKind kind) {
  DomainSpec spec{.cell_id = "dev--a",
                  .kind = kind,
                  .cell_dir = "/s/cells/dev--a",
                  .uid_base = 1'000'000,
                  .tmp_bytes = 1 << 20};
  if (kind == DomainKind::agent) {
    spec.binds = {{"/opt/cellar/agent-host", "/opt/cellar/agent-host"}};
  }
  return spec;
}

std::string golden(const std::string& name, const std::string& text) {
  return testing::golden(CELLAR_SANDBOX_TESTDATA "/" + name, text);
}

template <typename Kind>
std::size_t count(const std::vector<Step>& plan) {
  return static_cast<std::size_t>(std::count_if(plan.begin(), plan.end(), [](const Step& step) {
    return std::holds_alternative<Kind>(step);
  }));
}

}  // namespace

// The whole policy, word for word: a change of these files is a change of what a cell may do.
TEST_CASE("a blank is in its groups, sees no host state, and no file of the host") {
  const DomainGroups groups{{"/cg/memory/x"}, "/cg/unified/x/shell"};
  const std::string blank = describe(plan_blank(groups));
  CHECK(blank == golden("plan_blank.txt", blank));
}

TEST_CASE("a shell sees its own root over the image, its work and home, and no host state") {
  const std::string shell = describe(plan_for(domain(DomainKind::shell), kImage));
  CHECK(shell == golden("plan_shell.txt", shell));
}

TEST_CASE("an agent sees the untouched image, its code and the work, all but the last read-only") {
  const std::string agent = describe(plan_for(domain(DomainKind::agent), kImage));
  CHECK(agent == golden("plan_agent.txt", agent));
}

TEST_CASE("a warm agent domain has nothing of a cell, and becomes one by what is missing in it") {
  const DomainSpec whole = domain(DomainKind::agent);
  DomainSpec half = whole;
  half.part = Part::warm;
  half.cell_id = "warm";
  half.cell_dir.clear();
  half.tmp_bytes = 0;
  const std::string warm = describe(plan_for(half, kImage));
  CHECK(warm == golden("plan_warm.txt", warm));
  const std::string personal = describe(plan_personal(whole));
  CHECK(personal == golden("plan_personal.txt", personal));
  CHECK(warm.find("/cells/") == std::string::npos);
  CHECK(warm.find("/work") == std::string::npos);

  const auto lines_of = [](const std::string& text) {
    std::multiset<std::string> lines;
    for (const std::string_view line : split(text, '\n')) lines.emplace(line);
    lines.erase("");
    return lines;
  };
  std::multiset<std::string> both = lines_of(warm);
  both.merge(lines_of(personal));
  both.erase("host-name warm");
  CHECK(both == lines_of(describe(plan_for(whole, kImage))));
}

TEST_CASE("of an image of our own nothing is the host's") {
  const std::string shell = describe(plan_for(domain(DomainKind::shell), kOwnImage));
  CHECK(shell == golden("plan_shell_own_image.txt", shell));
  const std::string agent = describe(plan_for(domain(DomainKind::agent), kOwnImage));
  CHECK(agent == golden("plan_agent_own_image.txt", agent));
  for (const char* hosts : {"= /usr", "= /var", "= /etc"}) {
    CHECK(shell.find(hosts) == std::string::npos);
  }
}

TEST_CASE("for a user nothing is idmapped, no group is joined, and processes are limited") {
  DomainSpec spec = domain(DomainKind::shell);
  spec.rights = Rights::user;
  spec.uid_base = kUserIdBase;
  spec.pids_max = 512;
  const std::string shell = describe(plan_for(spec, kImage));
  CHECK(shell == golden("plan_shell_rootless.txt", shell));
  CHECK(shell.find("idmapped") == std::string::npos);
  spec.kind = DomainKind::agent;
  const std::string agent = describe(plan_for(spec, kOwnImage));
  CHECK(agent == golden("plan_agent_rootless.txt", agent));
  CHECK(agent.find("idmapped") == std::string::npos);
  const std::string blank = describe(plan_blank({}));
  CHECK(blank == golden("plan_blank_rootless.txt", blank));
}

TEST_CASE("nothing of the agent's is in a shell's plan") {
  const std::string shell = describe(plan_for(domain(DomainKind::shell), kImage));
  for (const char* hidden : {"/data", "agent-host", "/db", "/journal", "secrets", "/run/"}) {
    CAPTURE(hidden);
    CHECK(shell.find(std::string("/s/cells/dev--a") + hidden) == std::string::npos);
  }
}

TEST_CASE("every source is opened before the first mount, and every plan ends in its own root") {
  for (const DomainKind kind : {DomainKind::agent, DomainKind::shell}) {
    const std::vector<Step> plan = plan_for(domain(kind), kImage);
    const auto is_source = [](const Step& s) { return std::holds_alternative<OpenSource>(s); };
    const auto last = std::find_if(plan.rbegin(), plan.rend(), is_source).base();
    CHECK(std::none_of(plan.begin(), last, [](const Step& s) {
      return std::holds_alternative<Overlay>(s) || std::holds_alternative<MountSource>(s) ||
             std::holds_alternative<MountNew>(s);
    }));
    CHECK(std::holds_alternative<PivotRoot>(plan.back()));
    CHECK(count<PivotRoot>(plan) == 1);
    CHECK(count<Take>(plan) == 2);
  }
}
