#pragma once

#include <linux/sched.h>
#include <sys/types.h>

#include <cstddef>
#include <span>

namespace cellar::init {

// clone3(2) as vfork(2) is: the child runs `run(argument)` on `stack`, in this process's memory,
// while this process waits until the child has executed a program or ended. No page is copied,
// which is most of what a fork costs. `run` never returns, and does only what may be done between
// vfork and exec. Returns the child's pid, or -1 and errno.
pid_t clone_until_exec(clone_args arguments, std::span<std::byte> stack, void (*run)(void*),
                       void* argument);

// In a child with memory of its own, which contains a program: forks. The child returns true and
// becomes the program; this process calls `watch`, which never returns, with nothing open but the
// pipe, and nobody of the cell may read its memory. False where that failed, errno says why.
bool fork_program(int status_pipe, void (*watch)(pid_t program, int status_pipe)) noexcept;

}  // namespace cellar::init
