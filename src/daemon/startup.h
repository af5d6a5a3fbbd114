#pragma once

#include <string>

#include "cell/machine.h"
#include "cell/secrets.h"
#include "daemon/config.h"
#include "doctor/user.h"
#include "llm/providers.h"
#include "sys/fd.h"

namespace cellar::daemon {

// What a start needs before it serves, in this order. All of it is blocking and throws Error.

// A user's daemon has rights only over processes below its namespace: where cells of an earlier
// one live, it enters theirs.
doctor::User enter(const Config& config);

// What cells have here. Throws Error where that is less than what is configured. Forks: before any
// thread.
cell::Isolation require_level(const Config& config, const doctor::User& user);

// Its limits, and the faults that a test of crashes has planned. Before any thread.
void prepare_process();

// The state folder, held as long as what it returns exists. Throws Error `conflict`, reason
// `state_in_use` or `state_of_another`.
sys::Fd take_state(const std::string& state, const doctor::User& user);

cell::Sealer read_sealer(const Config& config);

// Throws Error, naming the file.
llm::Settings read_llm_settings(const Config& config);

}  // namespace cellar::daemon
