#pragma once

#include "cell/agent_process.h"
#include "cell/run.h"

namespace cellar::cell {

// User code can reach the sockets of its agent host, and say anything there. Throws Error `corrupt`
// for a frame of this run that no host sends, and that would spoil the run's record or let it take
// more of the daemon than a run may: its agent is to be ended.
void check_frame(const Run& run, const AgentFrame& frame);

}  // namespace cellar::cell
