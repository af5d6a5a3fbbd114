#include "doctor/checkpoint.h"

#include <fcntl.h>

#include <chrono>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "doctor/attempt.h"
#include "doctor/trial_folder.h"
#include "sys/bounded_program.h"
#include "sys/file.h"
#include "sys/process.h"

namespace cellar::doctor {
namespace {

constexpr std::chrono::milliseconds kStepLimit{10'000};
constexpr int kConnectsMax = 50;
constexpr const char* kMeansProcessesEnd =
    "nothing for now: the processes of a hibernated cell are gone everywhere";
constexpr std::chrono::milliseconds kConnectPause{50};

// Perl is on every Debian; the root is this host's, read-only.
constexpr const char* kBundle = R"({
  "ociVersion": "1.0.2",
  "process": {
    "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/usr/bin:/bin"],
    "args": ["perl", "-MIO::Socket::INET", "-e",
             "my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1:7') or die;",
             "-e", "sleep 1 while 1"]
  },
  "root": {"path": "/", "readonly": true},
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
             {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}],
  "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
                           {"type": "network"}]}
}
)";

std::string said(const sys::ProgramEnd& end) {
  if (end.timed_out) return "no answer within 10 s";
  const std::string_view text = trim(end.output);
  return std::string(text.substr(text.rfind('\n') + 1));
}

// Containers of that bundle, gone with it.
class Containers {
 public:
  Containers(const std::string& place, std::string platform)
      : folder_(place),
        platform_(std::move(platform)),
        bundle_(folder_.folder("bundle")),
        records_(folder_.folder("records")) {
    sys::write_all(sys::open_file(bundle_ + "/config.json", O_CREAT | O_WRONLY).get(), kBundle,
                   bundle_);
  }
  Containers(const Containers&) = delete;
  Containers& operator=(const Containers&) = delete;
  ~Containers() {
    refusal_of([this] { runsc({"delete", "--force", kSaved}); });
    refusal_of([this] { runsc({"delete", "--force", kRestored}); });
  }

  // Throws Error with what runsc says.
  void save_and_restore() {
    require({"run", "--detach", "--bundle", bundle_, kSaved});
    require_listening(kSaved, "the program did not listen");
    require({"checkpoint", "--image-path", folder_.path() + "/image", kSaved});
    require({"delete", "--force", kSaved});
    require({"restore", "--detach", "--image-path", folder_.path() + "/image", "--bundle", bundle_,
             kRestored});
    require_listening(kRestored, "what came back does not listen");
  }

 private:
  static constexpr const char* kSaved = "saved";
  static constexpr const char* kRestored = "restored";

  sys::ProgramEnd runsc(const std::vector<std::string>& words) const {
    std::vector<std::string> all = {"--root", records_, "--platform=" + platform_, "--network=none",
                                    "--ignore-cgroups"};
    all.insert(all.end(), words.begin(), words.end());
    return sys::run_bounded("runsc", all, kStepLimit);
  }

  void require(const std::vector<std::string>& words) const {
    const sys::ProgramEnd end = runsc(words);
    if (end.exit_code != 0) throw Error(ErrorCode::internal, words.front() + ": " + said(end));
  }

  void require_listening(const std::string& container, const std::string& otherwise) const {
    for (int attempt = 0; attempt < kConnectsMax; ++attempt) {
      const sys::ProgramEnd end = runsc({"exec", container, "perl", "-MIO::Socket::INET", "-e",
                                         "exit !IO::Socket::INET->new('127.0.0.1:7')"});
      if (end.exit_code == 0) return;
      if (end.timed_out) break;
      std::this_thread::sleep_for(kConnectPause);
    }
    throw Error(ErrorCode::internal, otherwise);
  }

  TrialFolder folder_;
  std::string platform_;
  std::string bundle_;
  std::string records_;
};

}  // namespace

Finding examine_gvisor_checkpoint(const std::string& place, const std::string& platform) {
  Finding finding{"gvisor.checkpoint",
                  Group::gvisor,
                  Verdict::ok,
                  "a program that listens comes back from disk, without the host's network",
                  "",
                  ""};
  const auto refusal = refusal_of([&] {
    if (!sys::has_program("perl"))
      throw Error(ErrorCode::unavailable, "not tried: there is no perl");
    Containers(place, platform).save_and_restore();
  });
  if (!refusal) return finding;
  finding.verdict = Verdict::warning;
  finding.found = *refusal;
  finding.means = kMeansProcessesEnd;
  finding.remedy = "a newer runsc: https://gvisor.dev/docs/user_guide/install";
  return finding;
}

Finding examine_criu() {
  Finding finding{"criu", Group::host, Verdict::ok, "criu check: looks good", "", ""};
  if (!sys::has_program("criu")) {
    return {"criu",          Group::host,        Verdict::warning,
            "not installed", kMeansProcessesEnd, "apt-get install criu"};
  }
  sys::ProgramEnd end;
  const auto refusal = refusal_of([&] { end = sys::run_bounded("criu", {"check"}, kStepLimit); });
  if (!refusal && end.exit_code == 0) return finding;
  finding.verdict = Verdict::warning;
  finding.found = "criu check: " + refusal.value_or(said(end));
  finding.means = kMeansProcessesEnd;
  finding.remedy = "CRIU 4 or later";
  return finding;
}

}  // namespace cellar::doctor
