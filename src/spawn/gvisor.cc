#include "spawn/gvisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "sandbox/groups.h"
#include "sandbox/perform.h"
#include "spawn/user_namespaces.h"
#include "sys/call.h"
#include "sys/file.h"
#include "sys/namespace.h"
#include "sys/process.h"
#include "sys/seqpacket.h"
#include "sys/user_namespace.h"

namespace cellar::spawn {
namespace {

// Below all that cells get (cell/spec.h).
constexpr std::uint32_t kProbeUidBase = 0x10000000 - kIdsPerDomain;
constexpr std::size_t kReportBytesMax = 4096;
constexpr std::chrono::seconds kLaunchLimit{20};
constexpr const char* kRunsc = "runsc";
// kvm is never taken: it wants /dev/kvm, and another kind of trust in the machine.
constexpr const char* kPlatforms[] = {"systrap", "ptrace"};

// What is told on the way, until everybody has closed the other end. Throws Error for silence.
std::string read_report(int fd) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + kLaunchLimit;
  std::string text;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    pollfd wait{fd, POLLIN, 0};
    const int ready = sys::retry_on_signal([&] {
      return ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    });
    if (ready == -1) throw_errno("poll");
    if (ready == 0) throw Error(ErrorCode::unavailable, "runsc is not ready within 20 s: " + text);
    const std::string more = sys::read_some(fd, kReportBytesMax, "a report");
    if (more.empty()) return text;
    if (text.size() < kReportBytesMax) text += more;
  }
}

}  // namespace

// One start of runsc.
struct Gvisor::Launch {
  sandbox::OciBundle bundle;
  std::string folder;  // of the bundle and of what runsc keeps
  std::string platform;
  std::uint32_t uid_base = 0;
  int input = -1;  // descriptor 0 of cell-init
};

void Gvisor::probe() {
  if (!platform_.empty()) return;
  if (!sys::has_program(kRunsc)) throw Error(ErrorCode::unavailable, "runsc is not installed");
  const sys::Fd null = sys::open_file("/dev/null", O_RDONLY);
  std::string failures;
  for (const char* platform : kPlatforms) {
    const std::string folder = state_dir_ + "/gvisor-probe";
    const Launch tried{sandbox::probe_bundle(kProbeUidBase, {init_program_, folder}), folder,
                       platform, kProbeUidBase, null.get()};
    try {
      launch(tried);
      platform_ = platform;
    } catch (const Error& error) {
      failures += (failures.empty() ? "" : "; ") + std::string("on ") + platform + ": " +
                  std::string(trim(error.what()));
    }
    sys::remove_tree(tried.folder);
    if (!platform_.empty()) return;
  }
  throw Error(ErrorCode::unavailable, "runsc does not work here, " + failures);
}

pid_t Gvisor::make(const sandbox::MakeDomain& request, const sandbox::Image& image,
                   const sandbox::DomainGroups& groups) {
  probe();
  const sandbox::DomainSpec& spec = request.spec;
  const sys::Fd rendezvous = sys::rendezvous_listen(request.socket_path);
  const std::string folder = request.socket_path + ".runsc";
  const Launch domain{sandbox::oci_bundle(spec, image, groups, {init_program_, folder}), folder,
                      platform_, spec.uid_base, rendezvous.get()};
  try {
    launch(domain);
    const auto text = sys::read_file(domain.folder + "/pid");
    const auto pid = parse_int(trim(text.value_or("")));
    if (!pid || *pid <= 0) throw Error(ErrorCode::internal, "runsc made no sandbox");
    return static_cast<pid_t>(*pid);
  } catch (const Error&) {
    sandbox::kill_group(groups.own);
    sys::remove_tree(domain.folder);
    throw;
  }
}

void Gvisor::launch(const Launch& launch) {
  sys::remove_tree(launch.folder);
  sys::make_dirs(launch.folder + "/state");
  const std::string config = launch.folder + "/config.json";
  const sys::Fd file = sys::open_file(config, O_CREAT | O_WRONLY);
  sys::write_all(file.get(), launch.bundle.config, config);

  const sys::Fd user = sys::make_user_namespace(launch.uid_base, kIdsPerDomain);
  sys::Pipe report = sys::make_pipe();
  const pid_t pid = sys::fork_into_namespaces(sys::ProcessNumbers::shared);
  if (pid == 0) become_runsc(launch, user.get(), report.write_end.get());
  // Empty once runsc has ended and cell-init has closed its end.
  report.write_end.reset();
  try {
    const std::string failure = read_report(report.read_end.get());
    if (!failure.empty()) throw Error(ErrorCode::internal, failure);
  } catch (const Error&) {
    ::kill(pid, SIGKILL);
    throw;
  }
}

void Gvisor::become_runsc(const Launch& launch, int user, int report) {
  try {
    ::signal(SIGCHLD, SIG_DFL);
    // As init/gvisor.h names them: 0 rendezvous, 1 filter, 2 report. A new open file for the
    // filter: offsets are not shared.
    const sys::Fd filter =
        sys::open_file("/proc/self/fd/" + std::to_string(filter_.get()), O_RDONLY);
    sandbox::Performer performer(launch.uid_base, {}, user);
    performer.perform(launch.bundle.plan);
    const std::array<int, 3> given = {launch.input, filter.get(), report};
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (::dup2(given[i], static_cast<int>(i)) == -1) throw_errno("dup2");
    }
    if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == -1) throw_errno("close_range");
    const std::string at = sandbox::kBundlePath;
    const std::string root = "--root=" + at + "/state";
    const std::string platform = "--platform=" + launch.platform;
    const std::string bundle = "--bundle=" + at;
    const std::string pid_file = "--pid-file=" + at + "/pid";
    // The network namespace is the one we are in, and so are the cgroups: a sandbox on `host`
    // sees of the network what a native domain does. Writes go to the cell's own layer.
    const char* const arguments[] = {kRunsc,
                                     root.c_str(),
                                     platform.c_str(),
                                     "--network=host",
                                     "--ignore-cgroups",
                                     "--overlay2=none",
                                     "--log=/dev/null",
                                     "--directfs=false",
                                     "run",
                                     "--detach",
                                     bundle.c_str(),
                                     pid_file.c_str(),
                                     "cell",
                                     nullptr};
    ::execvp(kRunsc, const_cast<char* const*>(arguments));
    throw_errno("execvp", kRunsc);
  } catch (const Error& error) {
    const std::string_view text = error.what();
    (void)!::write(report, text.data(), text.size());
    ::_exit(1);
  }
}

}  // namespace cellar::spawn
