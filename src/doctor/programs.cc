#include "doctor/programs.h"

#include <chrono>

#include "base/text.h"
#include "doctor/attempt.h"
#include "doctor/checkpoint.h"
#include "doctor/trial_folder.h"
#include "image/store.h"
#include "sys/bounded_program.h"
#include "sys/file.h"
#include "sys/process.h"

namespace cellar::doctor {
namespace {

constexpr std::chrono::milliseconds kProgramLimit{10'000};

std::string first_line(const std::string& text) {
  return std::string(trim(text.substr(0, text.find('\n'))));
}

std::string last_line(const std::string& text) {
  const std::string_view trimmed = trim(text);
  return std::string(trimmed.substr(trimmed.rfind('\n') + 1));
}

std::string first_word(const std::string& list) { return list.substr(0, list.find(',')); }

// "systrap, ptrace", or why none of them runs a program.
struct Platforms {
  std::string working;
  std::string refusal;
};

Platforms try_platforms(const std::string& place) {
  Platforms result;
  for (const char* name : {"systrap", "ptrace"}) {  // Cells never take kvm.
    const TrialFolder records(place);               // runsc's list of its containers
    const sys::ProgramEnd end =
        sys::run_bounded("runsc",
                         {"--root", records.path(), std::string("--platform=") + name,
                          "--network=none", "--ignore-cgroups", "do", "true"},
                         kProgramLimit);
    if (end.exit_code == 0) {
      result.working += (result.working.empty() ? "" : ", ") + std::string(name);
    } else {
      result.refusal += (result.refusal.empty() ? "" : "; ") + std::string(name) + ": " +
                        (end.timed_out ? "no answer within 10 s" : last_line(end.output));
    }
  }
  return result;
}

Findings examine_gvisor(const std::string& place) {
  constexpr const char* kMeans = "cells of runtime gvisor cannot be made";
  if (!sys::has_program("runsc")) {
    return {{"gvisor.runsc", Group::gvisor, Verdict::missing, "runsc is not installed", kMeans,
             "apt-get install runsc (a newer one: https://gvisor.dev/docs/user_guide/install)"}};
  }
  const sys::ProgramEnd version = sys::run_bounded("runsc", {"--version"}, kProgramLimit);
  Findings findings = {
      {"gvisor.runsc", Group::gvisor, Verdict::ok, first_line(version.output), "", ""}};
  Finding& platform = findings.emplace_back();
  platform = {"gvisor.platform", Group::gvisor, Verdict::ok, "", "", ""};
  Platforms platforms;
  const auto refusal = refusal_of([&] { platforms = try_platforms(place); });
  platform.found = platforms.working;
  if (platforms.working.empty()) {
    platform.verdict = Verdict::missing;
    platform.found = "runs no program: " + refusal.value_or(platforms.refusal);
    platform.means = kMeans;
    platform.remedy = "start as root on the host itself, with a current runsc";
  } else if (platforms.working == "ptrace") {
    platform.verdict = Verdict::warning;
    platform.means = "each system call of a cell is slow (systrap is faster)";
    platform.remedy = "a newer runsc: https://gvisor.dev/docs/user_guide/install";
  }
  if (!platforms.working.empty()) {
    findings.push_back(examine_gvisor_checkpoint(place, first_word(platforms.working)));
  }
  return findings;
}

Finding examine_default_image(const std::string& state) {
  constexpr const char* kBuild = "cellar image build --state ";
  std::optional<image::Image> image;
  const auto refusal = refusal_of([&] { image = image::Store(state).find(image::kDefaultName); });
  if (refusal) {
    return {"image.default",
            Group::images,
            Verdict::missing,
            *refusal,
            "cells that ask for no image cannot be made",
            kBuild + state};
  }
  if (image) {
    return {"image.default",
            Group::images,
            Verdict::ok,
            image->source + ", " + std::to_string(image->size_bytes / 1'000'000) + " MB",
            "",
            ""};
  }
  return {"image.default",
          Group::images,
          Verdict::warning,
          "none: cells get dev",
          "dev is a view of this host: cells read its /usr and share its page cache",
          kBuild + state};
}

Finding examine_tool(const std::string& id, const std::string& program, const std::string& package,
                     const std::string& means) {
  if (sys::has_program(program)) {
    return {id, Group::images, Verdict::ok, "installed", "", ""};
  }
  return {
      id, Group::images, Verdict::warning, "not installed", means, "apt-get install " + package};
}

// What cells of image dev, which is a view of this host, run agents with. `is_new` exits with 0 in
// one that is new enough.
Finding examine_language(const std::string& id, const std::string& program,
                         const std::vector<std::string>& is_new, const std::string& oldest,
                         const std::string& package) {
  for (const std::string folder : {"/usr/local/bin/", "/usr/bin/"}) {
    const std::string path = folder + program;
    if (!sys::exists(path)) continue;
    const sys::ProgramEnd end = sys::run_bounded(path, is_new, kProgramLimit);
    if (end.exit_code == 0) return {id, Group::images, Verdict::ok, path, "", ""};
    return {id,
            Group::images,
            Verdict::warning,
            path + " is older than " + oldest + ", or does not start",
            "agents that need it cannot run in cells of image dev",
            "install " + program + " " + oldest + " or newer"};
  }
  return {id,
          Group::images,
          Verdict::warning,
          "no " + program + " in /usr",
          "agents that need it cannot run in cells of image dev",
          "apt-get install " + package};
}

Finding examine_node() {
  constexpr const char* kIsNew = "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)";
  return examine_language("image.dev_node", "node", {"-e", kIsNew}, "18", "nodejs");
}

Finding examine_python() {
  constexpr const char* kIsNew = "import sys; sys.exit(sys.version_info < (3, 11))";
  return examine_language("image.dev_python", "python3", {"-c", kIsNew}, "3.11", "python3");
}

}  // namespace

Findings examine_programs(const std::string& place) {
  Findings findings = {examine_node(), examine_python(), examine_criu()};
  for (Finding& finding : examine_gvisor(place)) findings.push_back(std::move(finding));
  return findings;
}

Findings examine_images(const std::string& state) {
  return {examine_default_image(state),
          examine_tool("image.mmdebstrap", "mmdebstrap", "mmdebstrap",
                       "images can be imported, not built"),
          examine_tool("image.erofs", "mkfs.erofs", "erofs-utils",
                       "images can be neither built nor imported")};
}

}  // namespace cellar::doctor
