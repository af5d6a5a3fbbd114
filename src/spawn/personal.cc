#include "spawn/personal.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "sandbox/perform.h"
#include "sys/file.h"
#include "sys/namespace.h"
#include "sys/process.h"

namespace cellar::spawn {
namespace {

constexpr std::size_t kOutcomeBytesMax = 4096;

sandbox::Sources open_sources(const std::vector<sandbox::Step>& plan, int user_namespace) {
  sandbox::Sources sources;
  for (const sandbox::Step& step : plan) {
    const auto* source = std::get_if<sandbox::OpenSource>(&step);
    if (source == nullptr) continue;
    sources[source->name] = sandbox::open_source(*source, user_namespace);
  }
  return sources;
}

}  // namespace

void personalize(const sandbox::Personalize& request, int user_namespace) {
  const auto pid = static_cast<pid_t>(request.pid);
  const std::string folder = "/proc/" + std::to_string(pid) + "/ns/";
  const sys::Fd mounts = sys::open_file(folder + "mnt", O_RDONLY);
  const sys::Fd name = sys::open_file(folder + "uts", O_RDONLY);
  // The number may be another process's by now; what is open is not.
  if (sys::identify(pid) != sys::ProcessId{pid, request.start_time}) {
    throw Error(ErrorCode::unavailable, "the warm domain has ended");
  }
  const std::vector<sandbox::Step> plan = sandbox::plan_personal(request.spec);
  sandbox::Sources sources = open_sources(plan, user_namespace);
  sys::Pipe report = sys::make_pipe();
  const pid_t child = ::fork();
  if (child == -1) throw_errno("fork");
  if (child == 0) {
    std::string outcome(sandbox::kBlankDone);
    try {
      sys::enter_mounts_and_name(mounts.get(), name.get());
      sandbox::Performer(request.spec.uid_base, std::move(sources)).perform_in_root(plan);
    } catch (const std::exception& error) {
      outcome = error.what();
    }
    (void)!::write(report.write_end.get(), outcome.data(), outcome.size());
    ::_exit(0);
  }
  report.write_end.reset();
  const std::string outcome =
      sys::read_all(report.read_end.get(), kOutcomeBytesMax, "what became of a warm domain");
  if (outcome != sandbox::kBlankDone) {
    throw Error(ErrorCode::internal, outcome.empty() ? "what mounted in it was killed" : outcome);
  }
}

}  // namespace cellar::spawn
