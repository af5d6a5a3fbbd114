#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "async/event.h"
#include "cell/lost_by.h"
#include "cell/message_channel.h"
#include "wire/init_protocol.h"

namespace cellar::cell {

// The connection to a domain's cell-init. Loop thread only; shared by those who run something
// there, as each may outlive the domain.
class DomainLink {
 public:
  // How a program ended.
  struct Exit {
    int wait_status = 0;         // as waitpid(2) gives it
    std::optional<LostBy> lost;  // the domain ended under it, or the connection did
  };

  DomainLink(asio::any_io_executor executor, sys::Fd socket);
  DomainLink(const DomainLink&) = delete;
  DomainLink& operator=(const DomainLink&) = delete;

  // Reads what cell-init reports until the connection ends. The owner keeps it running.
  asio::awaitable<void> serve();
  // Throws Error `unavailable` where cell-init does not greet within `limit`, or is another
  // version's.
  asio::awaitable<void> greeted(std::chrono::milliseconds limit);

  // A name for a program that is not started yet.
  std::uint32_t new_id() noexcept { return ++last_id_; }

  // Starts a program and returns its pid, as the domain sees it, once it runs. `fds` become 0, 1,
  // 2, … in it, the last one is the cgroup where `request.in_cgroup`. Throws Error: reason
  // `start_failed`, the message naming the step; `not_found` for a program or folder that is not
  // there; `unavailable` where the domain is gone.
  asio::awaitable<std::uint32_t> start(wire::SpawnRequest request, std::vector<int> fds);
  // Waits until the program ends. Once for each program.
  asio::awaitable<Exit> wait_exit(std::uint32_t id);
  // Whether it has ended within `limit`, or was waited for.
  asio::awaitable<bool> ends_within(std::uint32_t id, std::chrono::milliseconds limit);
  bool is_running(std::uint32_t id) const;
  // It was asked for, and cell-init has not said that it is there.
  bool is_starting(std::uint32_t id) const;
  // Programs that an earlier connection started, with what was kept of them. Once, when it has
  // greeted: wait_exit() and the others know them from then on.
  struct KeptProgram {
    std::uint32_t id = 0;
    std::uint32_t pid = 0;
    std::vector<sys::Fd> fds;
  };
  std::vector<KeptProgram> take_kept() { return std::exchange(kept_, {}); }
  // Nothing is kept of a program any more; or nothing from the `first` of its descriptors on.
  void forget(std::uint32_t id);
  void forget_from(std::uint32_t id, std::uint32_t first);
  // For the whole process group; nothing happens where it has ended, alone or with its domain.
  void signal(std::uint32_t id, int signal);

  // Also where serve() has not come to it yet: what is started next would find nobody.
  bool is_lost() { return lost_ || channel_.has_hung_up(); }
  // What runs over it is lost, and by what.
  void close(LostBy why) {
    lost_by_ = why;
    channel_.close();
  }

 private:
  struct Program {
    explicit Program(const asio::any_io_executor& executor) : changed(executor) {}
    async::Event changed;
    std::optional<std::uint32_t> pid;  // once it runs
    std::optional<wire::StartFailed> failure;
    std::optional<Exit> exit;
  };
  void take(const wire::InitReport& report, std::vector<sys::Fd> fds);
  void send(const wire::InitRequest& request) noexcept;

  asio::any_io_executor executor_;
  MessageChannel channel_;
  async::Event greeting_;
  std::optional<std::uint32_t> version_;  // once it has greeted
  bool lost_ = false;
  LostBy lost_by_ = LostBy::domain;
  std::uint32_t last_id_ = 0;
  std::map<std::uint32_t, std::shared_ptr<Program>> programs_;  // shared with who waits
  std::vector<KeptProgram> kept_;
};

}  // namespace cellar::cell
