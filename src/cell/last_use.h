#pragma once

#include <optional>
#include <string>

#include "cell/lifecycle.h"

// run/last_use.json of a cell: since when nothing keeps it awake, for a daemon that comes later and
// finds its processes. It is not synced: they do not outlive the machine either.
namespace cellar::cell {

std::string encode_last_use(SteadyTime quiet_since);
// nullopt for nothing, for what a crash cut off, and for a record of an earlier start of the
// machine, whose clock began anew.
std::optional<SteadyTime> decode_last_use(const std::optional<std::string>& text);

}  // namespace cellar::cell
