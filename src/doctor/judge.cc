#include "doctor/judge.h"

#include <algorithm>
#include <span>

#include "base/error.h"

namespace cellar::doctor {
namespace {

constexpr std::string_view kNeededAlways[] = {
    "user",           "namespace.user", "namespace.mount", "namespace.pid",
    "namespace.net",  "namespace.ipc",  "namespace.uts",   "mounts.new",
    "mounts.overlay", "seccomp",        "no_new_privs",
};
constexpr std::string_view kNeededForFull[] = {
    "namespace.cgroup", "mounts.idmapped", "cgroup.memory", "cgroup.pids",
    "cgroup.cpu",       "cgroup.into",     "cgroup.freeze", "cgroup.kill",
};

const Finding* find(const Findings& findings, std::string_view id) {
  const auto at = std::find_if(findings.begin(), findings.end(),
                               [id](const Finding& finding) { return finding.id == id; });
  return at == findings.end() ? nullptr : &*at;
}

void add_lacking(std::vector<Finding>& lacking, const Findings& findings,
                 std::span<const std::string_view> ids) {
  for (const std::string_view id : ids) {
    const Finding* finding = find(findings, id);
    if (finding == nullptr) {
      lacking.push_back({std::string(id), Group::native, Verdict::missing, "was not examined",
                         "nobody knows whether cells would have it", ""});
    } else if (finding->verdict == Verdict::missing) {
      lacking.push_back(*finding);
    }
  }
}

std::vector<Finding> lacking_for(const Findings& findings, Level level) {
  std::vector<Finding> lacking;
  add_lacking(lacking, findings, kNeededAlways);
  if (level == Level::full) add_lacking(lacking, findings, kNeededForFull);
  return lacking;
}

std::string ids_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) text += (text.empty() ? "" : ", ") + finding.id;
  return text;
}

RuntimeState native_state(const Findings& findings) {
  const std::vector<Finding> for_full = lacking_for(findings, Level::full);
  if (for_full.empty()) return {"native", "full", ""};
  const std::vector<Finding> for_reduced = lacking_for(findings, Level::reduced);
  if (for_reduced.empty()) return {"native", "reduced", "lacks " + ids_of(for_full)};
  return {"native", "unavailable", "lacks " + ids_of(for_reduced)};
}

RuntimeState gvisor_state(const Findings& findings) {
  for (const std::string_view id : {"user", "gvisor.runsc", "gvisor.platform"}) {
    const Finding* finding = find(findings, id);
    if (finding == nullptr) return {"gvisor", "unavailable", "was not examined"};
    if (finding->verdict == Verdict::missing) return {"gvisor", "unavailable", finding->found};
  }
  if (find(findings, "user")->verdict == Verdict::warning) {
    return {"gvisor", "unavailable", "needs a daemon that root starts"};
  }
  return {"gvisor", "available", find(findings, "gvisor.platform")->found};
}

}  // namespace

std::string_view to_string(Level level) noexcept {
  return level == Level::full ? "full" : "reduced";
}

std::optional<Level> parse_level(std::string_view text) noexcept {
  if (text == "full") return Level::full;
  if (text == "reduced") return Level::reduced;
  return std::nullopt;
}

Judgement judge(const Findings& findings, Level level) {
  Judgement judgement;
  judgement.lacking = lacking_for(findings, level);
  judgement.satisfied = judgement.lacking.empty();
  judgement.reduced_is_there = lacking_for(findings, Level::reduced).empty();
  judgement.runtimes = {native_state(findings), gvisor_state(findings)};
  return judgement;
}

void require(const Judgement& judgement, Level level) {
  if (judgement.satisfied) return;
  std::string message = "this host does not give isolation of level \"" +
                        std::string(to_string(level)) + "\", and less is not served:";
  for (const Finding& finding : judgement.lacking) {
    message += "\n  " + finding.id + ": " + finding.found + " (" + finding.means + ")";
    if (!finding.remedy.empty()) message += "\n    " + finding.remedy;
  }
  throw Error(ErrorCode::unavailable, "below_level", message,
              judgement.reduced_is_there
                  ? "--level reduced serves without these; `cellar doctor` shows all that was found"
                  : "`cellar doctor` shows all that was found");
}

}  // namespace cellar::doctor
