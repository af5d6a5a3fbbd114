#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "async/event.h"
#include "async/pool.h"
#include "async/task_group.h"
#include "certificates/acme_command.h"
#include "certificates/certificates.h"
#include "certificates/order.h"

namespace cellar::certificates {

// Gets certificates of customers' domains by the operator's ACME program, one at a time, and renews
// them before they end. What is ordered survives the daemon's end. Loop thread only.
class Orders {
 public:
  struct Options {
    AcmeCommand command;
    std::string dir;                       // a folder for each domain, as of Certificates
    std::string work_dir;                  // the program's own, for all domains
    std::string webroot;                   // where it puts its proofs
    std::chrono::minutes run_limit{5};     // then the program is killed
    std::chrono::seconds look{30};         // whether one is due
    std::chrono::seconds wait_limit{25};   // of who orders, for the end
    std::chrono::seconds again_after{60};  // a failure; before, an order changes nothing
    OrderTimes times;
  };
  struct View {
    bool is_pending = false;
    std::string problem;  // why the last attempt failed, with what the program said
  };

  // All must outlive it.
  Orders(asio::any_io_executor executor, async::Pool& pool, Options options,
         Certificates& certificates, Certificates::IsVerified is_verified);

  // Goes on with what was ordered before.
  void start();
  // Orders the certificate of a verified domain, durably, and waits a moment for it: view() says
  // what has come of it. Throws Error where the disk fails.
  asio::awaitable<void> order(std::string domain);
  // nullopt where nothing was ordered.
  std::optional<View> view(const std::string& domain) const;
  // The proof with that token (is_challenge_token()); nullopt where there is none.
  asio::awaitable<std::optional<std::string>> proof(std::string token);
  // Kills the program; its order stays.
  asio::awaitable<void> close();

 private:
  struct Entry {
    Order order;
    bool is_asked = false;                // now, whenever it is due
    std::shared_ptr<async::Event> ended;  // of the attempt that is to come; shared with who waits
  };

  asio::awaitable<void> work();
  asio::awaitable<void> work_until_failure();
  asio::awaitable<void> read_all();
  asio::awaitable<void> forget_others();
  asio::awaitable<void> attempt(std::string domain);
  // Ends an attempt whose domain is gone.
  asio::awaitable<void> watch(std::string domain, std::shared_ptr<std::atomic<bool>> stop);
  // One that somebody asked for and the one that is due the longest, by turns.
  std::optional<std::string> next_due();
  std::string folder_of(const std::string& domain) const { return options_.dir + "/" + domain; }

  asio::any_io_executor executor_;
  async::Pool& pool_;
  Options options_;
  Certificates& certificates_;
  Certificates::IsVerified is_verified_;
  std::map<std::string, Entry> entries_;
  bool is_read_ = false;
  bool was_asked_ = false;  // the one that had the last turn
  async::Event wake_;
  bool is_closing_ = false;
  std::shared_ptr<std::atomic<bool>>
      stop_;                    // of the attempt; shared with the job; null: there is none
  async::Pool program_thread_;  // it may take minutes
  async::TaskGroup tasks_;
};

}  // namespace cellar::certificates
