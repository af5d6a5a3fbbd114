#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sys/process.h"

// run/<domain>.json of a cell: which process is the domain's cell-init, so that no other one is
// taken for it.
namespace cellar::cell {

std::string encode(const sys::ProcessId& init);
// nullopt for nothing, for what a crash cut off, and for a record of an earlier start of the
// machine.
std::optional<sys::ProcessId> decode_domain_record(const std::optional<std::string>& text);

// The living domains of all cells of a state folder. Blocking.
std::vector<sys::ProcessId> living_domains(const std::string& state_dir);

}  // namespace cellar::cell
