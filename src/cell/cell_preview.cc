// What a cell's preview needs of it: which ports are open, and a way to one.

#include "async/run_to_end.h"
#include "base/error.h"
#include "cell/cell.h"
#include "json/json.h"

namespace cellar::cell {

asio::awaitable<std::optional<Cell::Door>> Cell::open_door(std::optional<std::uint16_t> wanted) {
  require_open();
  const auto listening = co_await domains_.listening();
  note_ports(listening);
  const auto chosen = choose_port(listening, wanted, spec_.preview_port);
  if (!chosen) co_return std::nullopt;
  using Socket = sandbox::SocketIn::Kind;
  auto made = co_await domains_.shell_socket(chosen->is_v6 ? Socket::tcp_v6 : Socket::tcp_v4);
  co_return Door{std::move(made), *chosen};
}

asio::awaitable<void> Cell::stay_awake() {
  require_open();
  awake_since_ = steady_now();
  co_await wake(Needs::files);
}

asio::awaitable<void> Cell::watch_ports() {
  if (!open_ || state_ == State::paused) co_return;  // What is frozen opens and closes nothing.
  if (state_ == State::hibernated) {
    note_ports({});
    co_return;
  }
  const auto listening = co_await domains_.listening();
  note_ports(listening);
}

void Cell::note_ports(const std::vector<sys::ListeningPort>& listening) {
  for (const PortTable::Change& change : ports_.update(listening, wall_now())) {
    tell(change.is_open ? "port.opened" : "port.closed", json::object({{"port", change.port}}));
  }
}

}  // namespace cellar::cell
