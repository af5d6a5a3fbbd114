#include "sandbox/cgroup.h"

#include <doctest/doctest.h>

using namespace cellar::sandbox;

namespace {

constexpr ResourceLimits kLimits{.memory_bytes = 1 << 30, .pids_max = 512, .cpu_millis = 1500};

std::string describe(const CgroupPlan& plan) {
  std::string text;
  for (const std::string& folder : plan.folders) text += "folder " + folder + "\n";
  for (const auto& [file, value] : plan.settings) text += file + " = " + value + "\n";
  for (const std::string& folder : plan.join) text += "join " + folder + "\n";
  return text + "memory " + plan.memory + "\n";
}

}  // namespace

TEST_CASE("on cgroup v2 the unified tree limits a cell and all below it") {
  const CgroupHost host{"/cg", {"cpuset", "cpu", "memory", "pids"}, {}};
  CHECK(describe(plan_cgroups(host, "cellar-1", "dev--a", kLimits)) ==
        "folder /cg/cellar-1\n"
        "folder /cg/cellar-1/dev--a\n"
        "folder /cg/cellar-1/dev--a/agent\n"
        "folder /cg/cellar-1/dev--a/agent/init\n"
        "folder /cg/cellar-1/dev--a/shell\n"
        "folder /cg/cellar-1/dev--a/shell/init\n"
        "/cg/cgroup.subtree_control = +memory +pids +cpu\n"
        "/cg/cellar-1/cgroup.subtree_control = +memory +pids +cpu\n"
        "/cg/cellar-1/dev--a/memory.max = 1073741824\n"
        "/cg/cellar-1/dev--a/memory.swap.max = 0\n"
        "/cg/cellar-1/dev--a/pids.max = 512\n"
        "/cg/cellar-1/dev--a/cpu.max = 150000 100000\n"
        "memory /cg/cellar-1/dev--a\n");
}

TEST_CASE("on cgroup v1 each controller's own tree limits it, and the unified one holds it") {
  const CgroupHost host{
      "/cg/unified", {}, {{"memory", "/cg/memory"}, {"pids", "/cg/pids"}, {"cpu", "/cg/cpu"}}};
  CHECK(describe(plan_cgroups(host, "cellar-1", "a", kLimits)) ==
        "folder /cg/unified/cellar-1\n"
        "folder /cg/unified/cellar-1/a\n"
        "folder /cg/unified/cellar-1/a/agent\n"
        "folder /cg/unified/cellar-1/a/agent/init\n"
        "folder /cg/unified/cellar-1/a/shell\n"
        "folder /cg/unified/cellar-1/a/shell/init\n"
        "folder /cg/memory/cellar-1\n"
        "folder /cg/memory/cellar-1/a\n"
        "folder /cg/pids/cellar-1\n"
        "folder /cg/pids/cellar-1/a\n"
        "folder /cg/cpu/cellar-1\n"
        "folder /cg/cpu/cellar-1/a\n"
        "/cg/memory/cellar-1/a/memory.limit_in_bytes = 1073741824\n"
        "/cg/pids/cellar-1/a/pids.max = 512\n"
        "/cg/cpu/cellar-1/a/cpu.cfs_period_us = 100000\n"
        "/cg/cpu/cellar-1/a/cpu.cfs_quota_us = 150000\n"
        "join /cg/memory/cellar-1/a\n"
        "join /cg/pids/cellar-1/a\n"
        "join /cg/cpu/cellar-1/a\n"
        "memory /cg/memory/cellar-1/a\n");
}
