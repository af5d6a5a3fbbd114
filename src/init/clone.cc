#include "init/clone.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdint>

namespace cellar::init {
namespace {

// The C library's syscall(2) cannot be used: the child comes out of it on another stack.
#if defined(__x86_64__)
long clone3(clone_args* arguments, void (*run)(void*), void* argument) {
  long result = SYS_clone3;
  register void (*kept_run)(void*) asm("r8") = run;
  register void* kept_argument asm("r9") = argument;
  asm volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "xor %%ebp, %%ebp\n"
      "mov %%r9, %%rdi\n"
      "call *%%r8\n"
      "hlt\n"
      "1:\n"
      : "+a"(result)
      : "D"(arguments), "S"(sizeof *arguments), "r"(kept_run), "r"(kept_argument)
      : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
long clone3(clone_args* arguments, void (*run)(void*), void* argument) {
  register long number asm("x8") = SYS_clone3;
  register long first asm("x0") = reinterpret_cast<long>(arguments);
  register long second asm("x1") = sizeof *arguments;
  register void (*kept_run)(void*) asm("x10") = run;
  register void* kept_argument asm("x11") = argument;
  asm volatile(
      "svc #0\n"
      "cbnz x0, 1f\n"
      "mov x29, xzr\n"
      "mov x0, x11\n"
      "blr x10\n"
      "brk #0\n"
      "1:\n"
      : "+r"(first)
      : "r"(number), "r"(second), "r"(kept_run), "r"(kept_argument)
      : "memory");
  return first;
}
#else
#error "clone3 by hand is written for x86-64 and arm64"
#endif

}  // namespace

pid_t clone_until_exec(clone_args arguments, std::span<std::byte> stack, void (*run)(void*),
                       void* argument) {
  constexpr std::size_t kAlignment = 16;
  const auto begin = reinterpret_cast<std::uintptr_t>(stack.data());
  const std::uintptr_t end = (begin + stack.size()) & ~(kAlignment - 1);
  arguments.flags |= CLONE_VM | CLONE_VFORK;
  arguments.stack = begin;
  arguments.stack_size = end - begin;
  const long result = clone3(&arguments, run, argument);
  if (result >= 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
}

bool fork_program(int status_pipe, void (*watch)(pid_t program, int status_pipe)) noexcept {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) return false;
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  const long program = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (program <= 0) return program == 0;
  // Of all that it inherited only the pipe: the others' ends are watched for their closing.
  if (::dup2(status_pipe, 0) == -1) ::_exit(1);
  if (::syscall(SYS_close_range, 1U, static_cast<unsigned>(INT_MAX), 0) == -1) ::_exit(1);
  watch(static_cast<pid_t>(program), 0);
  ::_exit(1);
}

}  // namespace cellar::init
