#pragma once

#include <string>

#include "json/value.h"

namespace cellar::cli {

// Where in the agent's own file an error of a run came from, by its stack: "agent.js:3:14", or
// "agent.py:3" as Python has no columns. Empty where its stack does not say.
std::string place_in_agent(const json::Value& error);

}  // namespace cellar::cli
