#include "sys/seccomp.h"

#include <fcntl.h>
#include <seccomp.h>
#include <unistd.h>

#include <memory>

#include "base/error.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace cellar::sys {
namespace {

constexpr std::size_t kFilterBytesMax = 64 << 10;

void check(int result, const std::string& what) {
  if (result < 0) throw_errno_value(-result, "seccomp", what);
}

}  // namespace

std::string compile_filter(const std::vector<RefusedCall>& refused) {
  const std::unique_ptr<void, void (*)(void*)> context(::seccomp_init(SCMP_ACT_ALLOW),
                                                       &::seccomp_release);
  if (!context) throw Error(ErrorCode::internal, "seccomp_init failed");
  check(::seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
        "other architectures");
  for (const RefusedCall& call : refused) {
    const int number = ::seccomp_syscall_resolve_name(call.name.c_str());
    if (number < 0) continue;
    std::vector<scmp_arg_cmp> matches;
    for (const ArgumentMatch& match : call.when) {
      matches.push_back({match.index, SCMP_CMP_MASKED_EQ, match.mask, match.value});
    }
    check(::seccomp_rule_add_array(context.get(),
                                   SCMP_ACT_ERRNO(static_cast<std::uint16_t>(call.error)), number,
                                   static_cast<unsigned>(matches.size()), matches.data()),
          call.name);
  }
  Pipe pipe = make_pipe();
  // A program of the size of ours fits a pipe; more would block here for ever.
  ::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, static_cast<int>(kFilterBytesMax));
  set_nonblocking(pipe.write_end.get());
  check(::seccomp_export_bpf(context.get(), pipe.write_end.get()), "export");
  pipe.write_end.reset();
  return read_all(pipe.read_end.get(), kFilterBytesMax, "a filter");
}

}  // namespace cellar::sys
