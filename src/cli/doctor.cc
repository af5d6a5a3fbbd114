#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "doctor/examine.h"
#include "doctor/judge.h"

namespace cellar::cli {
namespace {

using doctor::Finding;
using doctor::Verdict;

constexpr int kBelowLevel = 1;
constexpr std::size_t kIdColumns = 26;

json::Value to_json(const Finding& finding) {
  json::Object object;
  object["id"] = finding.id;
  object["group"] = doctor::to_string(finding.group);
  object["verdict"] = doctor::to_string(finding.verdict);
  object["found"] = finding.found;
  if (!finding.means.empty()) object["means"] = finding.means;
  if (!finding.remedy.empty()) object["remedy"] = finding.remedy;
  return object;
}

json::Value to_json(const doctor::Findings& findings, const doctor::Judgement& judgement,
                    doctor::Level level) {
  json::Array list, lacking, runtimes;
  for (const Finding& finding : findings) list.push_back(to_json(finding));
  for (const Finding& finding : judgement.lacking) lacking.push_back(finding.id);
  for (const doctor::RuntimeState& runtime : judgement.runtimes) {
    runtimes.push_back(
        json::object({{"name", runtime.name}, {"state", runtime.state}, {"why", runtime.why}}));
  }
  return json::object({{"level", doctor::to_string(level)},
                       {"satisfied", judgement.satisfied},
                       {"lacking", std::move(lacking)},
                       {"runtimes", std::move(runtimes)},
                       {"findings", std::move(list)}});
}

std::string colored(Verdict verdict, const std::string& text, Look look) {
  if (look == Look::plain) return text;
  const char* color = verdict == Verdict::ok ? "32" : verdict == Verdict::warning ? "33" : "31";
  return fmt::format("\x1b[{}m{}\x1b[0m", color, text);
}

}  // namespace

std::string format_findings(const doctor::Findings& findings, Look look) {
  std::string out;
  std::string_view group;
  for (const Finding& finding : findings) {
    if (doctor::to_string(finding.group) != group) {
      group = doctor::to_string(finding.group);
      out += fmt::format("{}{}\n", out.empty() ? "" : "\n", group);
    }
    const std::string verdict = fmt::format("{:<8}", doctor::to_string(finding.verdict));
    out += fmt::format("  {:<{}} {} {}\n", finding.id, kIdColumns,
                       colored(finding.verdict, verdict, look), printable(finding.found));
    const std::string indent(kIdColumns + 12, ' ');
    if (!finding.means.empty()) out += indent + printable(finding.means) + "\n";
    if (!finding.remedy.empty()) out += indent + "-> " + printable(finding.remedy) + "\n";
  }
  return out;
}

std::string format_judgement(const doctor::Judgement& judgement, doctor::Level level, Look look) {
  std::string out;
  for (const doctor::RuntimeState& runtime : judgement.runtimes) {
    const bool is_there = runtime.state != "unavailable";
    out += runtime.name + ": " +
           colored(is_there ? Verdict::ok : Verdict::warning, runtime.state, look) +
           (runtime.why.empty() ? "" : ": " + printable(runtime.why)) + "\n";
  }
  const std::string name(doctor::to_string(level));
  if (judgement.satisfied) return out + "level " + name + ": satisfied\n";
  std::string ids;
  for (const Finding& finding : judgement.lacking) ids += (ids.empty() ? "" : ", ") + finding.id;
  return out + "level " + name + ": " + colored(Verdict::missing, "not satisfied", look) +
         ": missing " + ids + "; cellard does not start\n";
}

int run(const Doctor& command, Context& context) {
  const auto level = doctor::parse_level(command.level);
  if (!level) {
    throw Error(ErrorCode::invalid_argument, "usage",
                "--level: \"" + command.level + "\" is neither full nor reduced");
  }
  const doctor::Findings findings =
      doctor::examine({.state = command.state,
                       .seal_key_file = command.seal_key_file,
                       .user = doctor::become_daemon_user(command.state)});
  const doctor::Judgement judgement = doctor::judge(findings, *level);
  Output& output = context.output;
  if (output.format() == Format::json) {
    output.json(to_json(findings, judgement, *level));
  } else {
    output.write(format_findings(findings, output.look()) + "\n" +
                 format_judgement(judgement, *level, output.look()));
  }
  return judgement.satisfied ? 0 : kBelowLevel;
}

}  // namespace cellar::cli
