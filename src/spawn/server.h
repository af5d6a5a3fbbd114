#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/spawn_protocol.h"
#include "spawn/gvisor.h"
#include "spawn/held_namespaces.h"
#include "spawn/images.h"
#include "spawn/makings.h"
#include "spawn/pool.h"
#include "spawn/user_namespaces.h"
#include "sys/fd.h"
#include "sys/seqpacket.h"

namespace cellar::spawn {

// Answers the daemon's requests, and prepares what the next ones will need while there are none.
// Single-threaded: it forks; domains are made by their own processes, several at a time.
class Server {
 public:
  // A cell-init that stands still is ended after that.
  static constexpr std::chrono::seconds kMakingLimit{30};

  // `ahead` is how many cells are prepared. `pool` and `gvisor` must outlive it.
  Server(sys::Fd socket, Images images, Pool& pool, Gvisor& gvisor, std::size_t ahead)
      : socket_(std::move(socket)),
        images_(std::move(images)),
        pool_(pool),
        gvisor_(gvisor),
        ahead_(ahead) {}

  // Until the daemon closes its end. What is being made then ends, too: nobody knows of it.
  void run();

 private:
  struct Answer {
    sandbox::SpawnAnswer message;
    std::vector<sys::Fd> fds;
  };
  enum class Event : std::uint8_t { said, blank, domain_end, quiet };
  // `said`: by the daemon, or by what is being made.
  Event wait();
  // How long nobody has to ask for anything before the moment is a quiet one.
  int quiet_ms() const noexcept;
  // Does a part of what can wait; false where nothing is left.
  bool use_quiet_moment();
  // Both are false where the daemon is gone.
  bool take_requests();
  bool finish_makings();
  bool send(std::uint32_t number, const Answer& answer);
  void end_makings();
  // The answer, where it is not one that comes later.
  std::optional<Answer> answer(const sys::Message& message);
  static Answer listen(const sandbox::ListenIn& request, const sys::Message& message);
  static Answer make_socket(const sandbox::SocketIn& request, const sys::Message& message);
  std::optional<Answer> make(std::uint32_t number, const sandbox::MakeDomain& request);
  std::string slot_for(const sandbox::MakeDomain& request) const;
  void clear_away(Makings::Making making);
  // In gVisor a domain takes most of a second: these only begin it.
  Answer begin(const sandbox::MakeDomain& request);
  Answer begin(const sandbox::ProbeGvisor& request);
  using BeginRunsc = std::function<sys::Fd(const sandbox::DomainGroups&)>;
  Answer begin_in(const std::string& given, sandbox::DomainKind kind,
                  const BeginRunsc& begin_runsc);

  sys::Fd socket_;
  Images images_;
  Pool& pool_;
  Gvisor& gvisor_;
  UserNamespaces users_;
  HeldNamespaces held_;
  Makings makings_{kMakingLimit};
  std::size_t ahead_;
  bool all_done_ = false;
  bool was_asked_ = false;
};

}  // namespace cellar::spawn
