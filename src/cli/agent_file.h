#pragma once

#include <string>

#include "json/json.h"

namespace cellar::cli {

// The file of an agent: `path`, or the one in that folder. Throws Error `agent_missing` where there
// is none in it, `usage` where there are two.
std::string find_agent(const std::string& path);
// The source of an agent. Throws Error `not_found` for a file that is not there, `too_large`,
// `usage` for what is no agent.
std::string read_agent(const std::string& file);
// By its ending: javascript, python; empty for none.
std::string agent_language_of(const std::string& file);
// What makes `source`, from that file, the agent of a customer's cell.
json::Object agent_settings(const std::string& customer_id, const std::string& source,
                            const std::string& file);

}  // namespace cellar::cli
