#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sys/process.h"

// run/<domain>.json of a cell: which process is the domain's cell-init, so that no other one is
// taken for it.
namespace cellar::cell {

struct DomainRecord {
  sys::ProcessId init;
  std::uint32_t uid_base = 0;  // of a domain that was warm (warm_agents.h); 0: the cell's own range
  bool operator==(const DomainRecord&) const = default;
};

// `folder` is the identity of the folder that it is in (sys/folder_identity.h).
std::string encode(const DomainRecord& record, const std::string& folder);
// nullopt for nothing, for what a crash cut off, for a record of an earlier start of the machine,
// and for one that was copied from another folder: whose processes these are, is there.
std::optional<DomainRecord> decode_domain_record(const std::optional<std::string>& text,
                                                 const std::string& folder);

// The living domains of all cells of a state folder. Blocking.
std::vector<sys::ProcessId> living_domains(const std::string& state_dir);

}  // namespace cellar::cell
