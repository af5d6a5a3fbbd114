#include "doctor/user.h"

#include <cstdlib>

#include "base/error.h"
#include "doctor/state_ids.h"
#include "sys/own_namespace.h"
#include "sys/probe.h"

namespace cellar::doctor {
namespace {

// Below the folder that `variable` names, or else below `usual` of the user's home.
std::string user_folder(const char* variable, const char* usual) {
  const char* named = std::getenv(variable);
  if (named != nullptr && *named == '/') return named;
  const char* home = std::getenv("HOME");
  return (home != nullptr ? std::string(home) : "") + usual;
}

}  // namespace

User become_daemon_user(const std::string& state, std::optional<pid_t> living) {
  User user{.uid = sys::user_id()};
  if (sys::is_root()) return user;
  user.rights = sandbox::Rights::user;
  try {
    if (living) {
      sys::enter_namespace_above(*living);
    } else {
      sys::enter_own_namespace();
    }
    user.ids = sys::entered_ids();
    require_state_ids(state, user.ids);
  } catch (const Error& error) {
    user.refusal = error.what();
    user.remedy = error.remediation();
  }
  return user;
}

std::string default_state() {
  if (sys::is_root()) return "/var/lib/cellar";
  return user_folder("XDG_STATE_HOME", "/.local/state") + "/cellar";
}

std::string default_seal_key_file() {
  if (sys::is_root()) return "/etc/cellar/seal.key";
  return user_folder("XDG_CONFIG_HOME", "/.config") + "/cellar/seal.key";
}

}  // namespace cellar::doctor
