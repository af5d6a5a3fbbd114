#pragma once

#include <string>

#include "sys/own_namespace.h"

// `<state>/ids`, in the state folder of a daemon without root: where the range of ids begins that
// the files of its cells and images have on disk, "100000 100000\n", users and groups. Nothing can
// translate them, so another range would make all of them somebody else's.
namespace cellar::doctor {

// Throws Error `conflict`, reason `ids_changed`, which names both ranges, where the state folder
// was begun with others than `ids`.
void require_state_ids(const std::string& state, const sys::OwnIds& ids);

// The same, and takes note of `ids` where nobody has yet. The folder must be there. Throws Error.
void note_state_ids(const std::string& state, const sys::OwnIds& ids);

}  // namespace cellar::doctor
