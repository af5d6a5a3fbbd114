#pragma once

#include <optional>
#include <string>

#include "doctor/finding.h"

// What files of /proc and /sys say. `root` is a folder that holds them ("" is this machine's): the
// tests have trees of their own.
namespace cellar::doctor {

// Without white space around it; nullopt where there is no such file, or none that we may read.
std::optional<std::string> read_setting(const std::string& root, const std::string& path);

// Of a user namespace that could not be made, or without rights (`error`; 0: it could): which of
// the switches that distributions have forbids it, and how to turn it.
Finding judge_user_namespace(const std::string& root, int error, bool is_root);

// "v2", "v1", "v2 beside v1" with the controllers of each: what the machine mounts.
Finding judge_cgroup_mounts(const std::string& root);

// Swap, pressure, and settings of the kernel that make an escape easier.
Findings examine_settings(const std::string& root);

}  // namespace cellar::doctor
