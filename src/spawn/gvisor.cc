#include "spawn/gvisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "sandbox/perform.h"
#include "spawn/user_namespaces.h"
#include "sys/file.h"
#include "sys/namespace.h"
#include "sys/process.h"
#include "sys/seqpacket.h"
#include "sys/user_namespace.h"

namespace cellar::spawn {
namespace {

// Below all that cells get (cell/spec.h).
constexpr std::uint32_t kProbeUidBase = 0x10000000 - kIdsPerDomain;
constexpr const char* kRunsc = "runsc";

}  // namespace

// One start of runsc.
struct Gvisor::Launch {
  sandbox::OciBundle bundle;
  std::string folder;  // of the bundle and of what runsc keeps
  std::string platform;
  std::uint32_t uid_base = 0;
  int input = -1;  // descriptor 0 of cell-init
};

sys::Fd Gvisor::probe(const std::string& platform, const sandbox::DomainGroups& groups) {
  if (!sys::has_program(kRunsc)) throw Error(ErrorCode::unavailable, "runsc is not installed");
  const sys::Fd null = sys::open_file("/dev/null", O_RDONLY);
  const std::string folder = state_dir_ + "/" + sandbox::kProbeFolder;
  const Launch tried{sandbox::probe_bundle(kProbeUidBase, groups, {init_program_, folder}), folder,
                     platform, kProbeUidBase, null.get()};
  return launch(tried);
}

sys::Fd Gvisor::make(const sandbox::MakeDomain& request, const sandbox::Image& image,
                     const sandbox::DomainGroups& groups) {
  const sandbox::DomainSpec& spec = request.spec;
  const sys::Fd rendezvous = sys::rendezvous_listen(request.socket_path);
  const std::string folder = sandbox::runsc_folder(request.socket_path);
  const Launch domain{sandbox::oci_bundle(spec, image, groups, {init_program_, folder}), folder,
                      request.platform, spec.uid_base, rendezvous.get()};
  return launch(domain);
}

sys::Fd Gvisor::launch(const Launch& launch) {
  sys::remove_tree(launch.folder);
  sys::make_dirs(launch.folder + "/state");
  const std::string config = launch.folder + "/config.json";
  const sys::Fd file = sys::open_file(config, O_CREAT | O_WRONLY);
  sys::write_all(file.get(), launch.bundle.config, config);

  const sys::Fd user = sys::make_user_namespace(launch.uid_base, kIdsPerDomain);
  sys::Pipe report = sys::make_pipe();
  const pid_t pid = sys::fork_into_namespaces(sys::ProcessNumbers::shared).pid;
  if (pid == 0) become_runsc(launch, user.get(), report.write_end.get());
  return std::move(report.read_end);
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
    // Nobody waits for it without the spawner. Changing ids before would have undone this.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) == -1) throw_errno("prctl", "PR_SET_PDEATHSIG");
    ::execvp(kRunsc, const_cast<char* const*>(arguments));
    throw_errno("execvp", kRunsc);
  } catch (const Error& error) {
    const std::string_view text = error.what();
    (void)!::write(report, text.data(), text.size());
    ::_exit(1);
  }
}

}  // namespace cellar::spawn
