#include "sandbox/oci_bundle.h"

#include <doctest/doctest.h>

#include "testing/golden.h"

using namespace cellar;
using namespace cellar::sandbox;

namespace {

const Image kBundleImage{"/s/images/ab12/mount", "/s/images/dev-1/agent", "", ""};

const BundleHost kHost{"/opt/cell-init", "/s/cells/dev--a/run/shell.sock.runsc"};

DomainSpec domain_of(DomainKind kind) {
  DomainSpec spec{.cell_id = "dev--a",
                  .kind = kind,
                  .runtime = Runtime::gvisor,
                  .cell_dir = "/s/cells/dev--a",
                  .uid_base = 1'000'000,
                  .tmp_bytes = 1 << 20};
  if (kind == DomainKind::agent) {
    spec.binds = {{"/opt/cellar/agent-host", "/opt/cellar/agent-host"}};
  }
  return spec;
}

OciBundle bundle(const DomainSpec& spec) {
  return oci_bundle(spec, kBundleImage, {{"/cg/memory/x"}, "/cg/unified/x/group"}, kHost);
}

std::string text_of(const OciBundle& bundle) { return describe(bundle.plan) + bundle.config; }

}  // namespace

// As of the native plans: a change of these files is a change of what a cell may do.
TEST_CASE("gVisor gets a shell's root, work and cell-init, and nothing else of the host") {
  const std::string text = text_of(bundle(domain_of(DomainKind::shell)));
  CHECK(text == testing::golden(CELLAR_SANDBOX_TESTDATA "/oci_shell.txt", text));
}

TEST_CASE("gVisor gets an agent's root and data read-only") {
  const std::string text = text_of(bundle(domain_of(DomainKind::agent)));
  CHECK(text == testing::golden(CELLAR_SANDBOX_TESTDATA "/oci_agent.txt", text));
}

TEST_CASE("the root that gVisor gets is made by the same steps as the native one") {
  for (const DomainKind kind : {DomainKind::agent, DomainKind::shell}) {
    DomainSpec native = domain_of(kind);
    native.runtime = Runtime::native;
    const std::string whole = describe(plan_for(native, kBundleImage));
    std::string line;
    for (const Step& step : plan_for(domain_of(kind), kBundleImage)) {
      line = describe({step});
      CAPTURE(line);
      CHECK(whole.find(line) != std::string::npos);
    }
    CHECK(whole.find("pivot-root") != std::string::npos);
    CHECK(describe(plan_for(domain_of(kind), kBundleImage)).find("/dev/") == std::string::npos);
  }
}

TEST_CASE("a name with quotes and control characters stays one string in config.json") {
  DomainSpec spec = domain_of(DomainKind::shell);
  spec.cell_id = "a\"b\\c\n";
  const std::string config = bundle(spec).config;
  CHECK(config.find("\"hostname\": \"a\\\"b\\\\c\\u000a\"") != std::string::npos);
}
