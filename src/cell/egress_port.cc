#include "cell/egress_port.h"

#include <fcntl.h>

#include "base/log.h"
#include "egress/egress.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::uint16_t kDnsPort = 53;
// Many programs ask for the same name again and again.
constexpr std::chrono::seconds kSaidPause{10};
constexpr std::size_t kSaidMax = 1000;

}  // namespace

struct EgressPort::State {
  State(const asio::any_io_executor& executor, std::string cell, const egress::Policy& policy)
      : cell_id(std::move(cell)),
        way_out(executor, policy, [this](const egress::Refusal& refusal) { say(refusal); }),
        ports(policy.ports()) {}

  // A line for the operator, the same one not more often than every ten seconds.
  void say(const egress::Refusal& refusal) {
    const std::string what = refusal.target + ":" + std::to_string(refusal.port);
    const auto now = std::chrono::steady_clock::now();
    if (said.size() >= kSaidMax) said.clear();
    const auto [entry, is_new] = said.try_emplace(what, now);
    if (!is_new && now - entry->second < kSaidPause) return;
    entry->second = now;
    log::info("cell {}: {} refused: {}", cell_id, what, refusal.why);
  }

  std::string cell_id;
  egress::Egress way_out;
  std::vector<std::uint16_t> ports;
  std::map<std::string, std::chrono::steady_clock::time_point> said;
};

EgressPort::EgressPort(asio::any_io_executor executor, std::string cell_id,
                       const std::vector<std::string>& allow)
    : state_(std::make_unique<State>(executor, std::move(cell_id), egress::Policy::parse(allow))) {}

EgressPort::~EgressPort() = default;

void EgressPort::check(const std::vector<std::string>& allow) { egress::Policy::parse(allow); }

asio::awaitable<void> EgressPort::open(Spawner& spawner, std::string network) {
  std::vector<sandbox::ListenIn::Port> ports;
  ports.push_back({kDnsPort, true});
  ports.push_back({kDnsPort, false});
  for (const std::uint16_t port : state_->ports) {
    if (port != kDnsPort) ports.push_back({port, false});
  }
  sys::Fd name_space = sys::open_file(network, O_RDONLY);
  std::vector<sys::Fd> sockets = co_await spawner.listen_in(std::move(name_space), ports);
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (ports[i].udp) {
      state_->way_out.serve_dns(std::move(sockets[i]));
    } else {
      state_->way_out.serve_tcp(std::move(sockets[i]), ports[i].port);
    }
  }
}

void EgressPort::set_allow(const std::vector<std::string>& allow) {
  state_->way_out.set_policy(egress::Policy::parse(allow));
}

asio::awaitable<void> EgressPort::close() { co_await state_->way_out.close(); }

}  // namespace cellar::cell
