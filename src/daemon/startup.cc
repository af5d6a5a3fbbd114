#include "daemon/startup.h"

#include <fcntl.h>

#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "cell/domain_record.h"
#include "cell/slots.h"
#include "doctor/examine.h"
#include "doctor/judge.h"
#include "doctor/state_ids.h"
#include "sandbox/delegated.h"
#include "sys/file.h"
#include "sys/lock_file.h"
#include "sys/probe.h"
#include "sys/resource_limit.h"

namespace cellar::daemon {
namespace {

constexpr std::uint64_t kOpenFilesMax = 1 << 20;

// What is on disk has the ids of whoever made it.
void require_own_state(const std::string& state) {
  const auto cells = sys::open_file_if_exists(state + "/cells", O_RDONLY | O_DIRECTORY);
  if (!cells || sys::owner_of(cells->get()) == 0) return;
  throw Error(ErrorCode::conflict, "state_of_another",
              state + " is the state folder of another user's cellard",
              "start cellard as that user, or set --state to another folder");
}

std::string read_llm_key(const std::string& state, const std::string& file,
                         const std::string& name) {
  if (file.empty()) {
    const char* value = std::getenv(name.c_str());
    if (value != nullptr && *value != '\0') return value;
    throw Error(ErrorCode::invalid_argument, "the variable " + name + " is not set");
  }
  if (doctor::is_inside(file, state)) {
    throw Error(ErrorCode::invalid_argument,
                "key_file " + file + " is inside --state: a copy of that would tell the key");
  }
  constexpr std::size_t kFileMax = 64 << 10;
  const auto text = sys::read_file(file, kFileMax);
  if (!text) throw Error(ErrorCode::invalid_argument, "key_file " + file + " is not there");
  return std::string(trim(*text));
}

void arm_planned_faults() {
  const char* plan = std::getenv("CELLAR_FAULTS");
  if (plan == nullptr) return;
  log::warning("crashes are tested: {} says where this daemon fails", plan);
  arm_faults(plan);
}

}  // namespace

doctor::User enter(const Config& config) {
  if (sys::is_root()) return {};
  const std::vector<sys::ProcessId> all = cell::living_domains(config.state);
  const auto living = all.empty() ? std::nullopt : std::optional(all.front().pid);
  doctor::User user = doctor::become_daemon_user(config.state, living);
  if (!user.refusal.empty()) return user;
  try {
    user.cgroups = sandbox::take_delegated(cell::daemon_group_of(config.state), living);
  } catch (const Error& error) {
    user.no_cgroups = error.what();
  }
  return user;
}

cell::Isolation require_level(const Config& config, const doctor::User& user) {
  const doctor::Findings findings = doctor::examine({.state = config.state,
                                                     .seal_key_file = config.seal_key_file,
                                                     .depth = doctor::Depth::quick,
                                                     .user = user});
  const auto level = doctor::parse_level(config.level).value();  // The command line checks it.
  doctor::require(doctor::judge(findings, level), level);
  const doctor::Judgement full = doctor::judge(findings, doctor::Level::full);
  cell::Isolation isolation{.rights = user.rights, .is_full = full.satisfied};
  for (const doctor::Finding& finding : full.lacking) {
    isolation.missing.push_back({finding.id, finding.means});
    log::warning("cells have less isolation than this software can give: {}: {} ({})", finding.id,
                 finding.found, finding.means);
  }
  for (const doctor::Finding& finding : findings) {
    if (finding.id != "image.default" || finding.verdict == doctor::Verdict::ok) continue;
    log::warning("default image: {}: {}; {}", finding.found, finding.means, finding.remedy);
  }
  return isolation;
}

sys::Fd take_state(const std::string& state, const doctor::User& user) {
  sys::make_dirs(state);
  require_own_state(state);
  if (user.rights != sandbox::Rights::root) doctor::note_state_ids(state, user.ids);
  auto lock = sys::try_lock_file(state + "/LOCK");
  if (lock) return *std::move(lock);
  throw Error(ErrorCode::conflict, "state_in_use",
              state + " is used by another cellard that still runs");
}

cell::Sealer read_sealer(const Config& config) {
  cell::Sealer sealer = cell::Sealer::from_key_file(config.seal_key_file);
  if (!sealer.is_key_of(config.state)) {
    log::warning(
        "{} is not the key that {} is sealed with: secrets and values of sensitive steps do not "
        "open. Bring that key back; where it is lost, remove {}/seal-key.sha256",
        config.seal_key_file, config.state, config.state);
  }
  return sealer;
}

llm::Settings read_llm_settings(const Config& config) {
  if (config.llm_file.empty()) return {};
  constexpr std::size_t kFileMax = 1 << 20;
  const auto text = sys::read_file(config.llm_file, kFileMax);
  const std::string place = "--llm " + config.llm_file + ": ";
  if (!text) throw Error(ErrorCode::invalid_argument, place + "there is no such file");
  const auto key = [&config](const std::string& file, const std::string& name) {
    return read_llm_key(config.state, file, name);
  };
  try {
    return llm::read_settings(*text, key);
  } catch (const Error& error) {
    throw Error(error.code(), error.reason(), place + error.what(), error.remediation());
  }
}

void prepare_process() {
  sys::raise_open_files(kOpenFilesMax);
  sys::keep_to_disk_quotas();
  arm_planned_faults();
}

}  // namespace cellar::daemon
