#include "sandbox/cgroup.h"

#include <doctest/doctest.h>

using namespace cellar::sandbox;

namespace {

constexpr ResourceLimits kLimits{.memory_bytes = 1 << 30, .pids_max = 512, .cpu_millis = 1500};

std::string describe(const CgroupPlan& plan) {
  std::string text;
  for (const std::string& folder : plan.folders) text += "folder " + folder + "\n";
  for (const auto& [file, value] : plan.settings) text += file + " = " + value + "\n";
  for (const auto& [file, value] : plan.wishes) text += file + " ?= " + value + "\n";
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
        "/cg/cellar-1/dev--a/cgroup.subtree_control = +memory +pids +cpu\n"
        "/cg/cellar-1/dev--a/agent/cgroup.subtree_control = +memory +pids +cpu\n"
        "/cg/cellar-1/dev--a/shell/cgroup.subtree_control = +memory +pids +cpu\n"
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
        "/cg/memory/cellar-1/a/memory.swappiness = 0\n"
        "/cg/pids/cellar-1/a/pids.max = 512\n"
        "/cg/cpu/cellar-1/a/cpu.cfs_period_us = 100000\n"
        "/cg/cpu/cellar-1/a/cpu.cfs_quota_us = 150000\n"
        "join /cg/memory/cellar-1/a\n"
        "join /cg/pids/cellar-1/a\n"
        "join /cg/cpu/cellar-1/a\n"
        "memory /cg/memory/cellar-1/a\n");
}

TEST_CASE(
    "groups of a cell that is not known yet have no limits, and nothing that bars processes") {
  const CgroupHost host{"/cg", {"cpu", "memory", "pids"}, {}};
  for (const auto& [file, value] : plan_cgroups(host, "cellar-1", "7f-1").settings) {
    CHECK(file.find("7f-1") == std::string::npos);
  }
}

TEST_CASE(
    "weights go to whichever tree has the scheduler, and are asked for where it may be missing") {
  ResourceLimits limits = kLimits;
  limits.cpu_weight = 200;
  limits.io_weight = 2000;
  const CgroupHost v2{"/cg", {"cpu", "io", "memory", "pids"}, {}};
  const std::string unified = describe(plan_cgroups(v2, "g", "s", limits));
  CHECK(unified.find("/cg/g/s/cpu.weight = 200\n") != std::string::npos);
  CHECK(unified.find("/cg/g/s/io.weight ?= 2000\n") != std::string::npos);
  CHECK(unified.find("/cg/g/cgroup.subtree_control = +memory +pids +cpu +io\n") !=
        std::string::npos);
  const CgroupHost v1{"/u", {}, {{"memory", "/m"}, {"pids", "/p"}, {"cpu", "/c"}, {"blkio", "/b"}}};
  const std::string legacy = describe(plan_cgroups(v1, "g", "s", limits));
  CHECK(legacy.find("/c/g/s/cpu.shares = 2000\n") != std::string::npos);
  CHECK(legacy.find("/b/g/s/blkio.bfq.weight ?= 1000\n") != std::string::npos);
  CHECK(legacy.find("join /b/g/s\n") != std::string::npos);
}

TEST_CASE("a program has a group of its own, and v1 groups only for limits of its own") {
  const CgroupHost v1{"/u", {}, {{"memory", "/m"}, {"pids", "/p"}, {"cpu", "/c"}}};
  const CgroupPlan cell = plan_cgroups(v1, "g", "s", kLimits);
  const ProgramPlan plain = plan_program(v1, cell, DomainKind::shell, 3, {});
  CHECK(plain.group == "/u/g/s/shell/c3");
  CHECK(plain.folders.empty());
  CHECK(plain.settings.empty());
  CHECK(plain.memory == "/m/g/s");
  const ProgramPlan limited =
      plan_program(v1, cell, DomainKind::shell, 4, {.memory_bytes = 1 << 20, .cpu_weight = 50});
  CHECK(limited.folders == std::vector<std::string>{"/m/g/s/c4", "/c/g/s/c4"});
  CHECK(limited.memory == "/m/g/s/c4");
  CHECK(limited.settings.size() == 3);

  const CgroupHost v2{"/u", {"cpu", "memory", "pids"}, {}};
  const ProgramPlan unified =
      plan_program(v2, plan_cgroups(v2, "g", "s", kLimits), DomainKind::agent, 5, {.pids_max = 9});
  CHECK(unified.folders.empty());
  CHECK(unified.memory == "/u/g/s/agent/c5");
  CHECK(unified.settings ==
        std::vector<std::pair<std::string, std::string>>{{"/u/g/s/agent/c5/pids.max", "9"}});
}

TEST_CASE("where there are no cgroups, cells and programs have none") {
  const CgroupPlan cell = plan_cgroups({}, "cellar-1", "a", kLimits);
  CHECK(describe(cell) == "memory \n");
  CHECK(cell.domain(DomainKind::shell).empty());
  const ProgramPlan program = plan_program({}, cell, DomainKind::shell, 7, kLimits);
  CHECK(program.group.empty());
  CHECK(program.settings.empty());
}
