#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/fd.h"

namespace cellar::sys {

// A process that cannot be mistaken for a later one with the same number.
struct ProcessId {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  // in clock ticks since boot
  bool operator==(const ProcessId&) const = default;
};

// nullopt where there is no such process, or only a dead one that nobody reaped.
std::optional<ProcessId> identify(pid_t pid);

// A descriptor that becomes readable when the process ends; empty where it has ended already, or is
// another one by now. Throws Error.
Fd open_process(const ProcessId& process);

// Whether the process behind the descriptor has ended; does not wait.
bool has_ended(int process);

// SIGKILL for the process behind the descriptor; nothing happens where it is gone.
void kill_process(int process);

// Starts a program with no fork of this process's memory. `fds` become 3, 4, … in it; standard
// input is /dev/null, output and error are ours. Throws Error.
pid_t start_program(const std::string& program, const std::vector<std::string>& arguments,
                    const std::vector<int>& fds);

// Waits until the child ends, and returns its wait status. Throws Error.
int wait_program(pid_t pid);

// Runs a program of PATH to its end, with our output and error, no input, and our terminal's
// signals. Throws Error: `unavailable`, reason `program_missing`, where there is none of that name;
// `internal` where it fails.
void run_program(const std::string& name, const std::vector<std::string>& arguments);
// Whether PATH has such a program.
bool has_program(const std::string& name);

// A copy of the file in memory, sealed so that nobody can ever change it. Throws Error.
Fd sealed_copy(const std::string& path);
// Bytes as such a file.
Fd sealed_bytes(const std::string& name, const std::string& bytes);

// This boot of the machine, as the kernel names it.
std::string boot_id();

}  // namespace cellar::sys
