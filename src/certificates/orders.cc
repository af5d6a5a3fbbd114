#include "certificates/orders.h"

#include <unistd.h>
#include <algorithm>

#include "async/sleep.h"
#include "base/error.h"
#include "base/log.h"
#include "sys/bounded_program.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::certificates {
namespace {

constexpr std::size_t kProofBytesMax = 4096;
constexpr std::size_t kPairBytesMax = 256 << 10;
constexpr std::string_view kProofs = "/.well-known/acme-challenge";

// All of ours but what is for cellard itself, such as its key.
std::vector<std::string> program_environment() {
  std::vector<std::string> environment;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!text.starts_with("CELLAR_")) environment.emplace_back(text);
  }
  return environment;
}

std::string required_text(const std::string& path) {
  auto text = sys::read_file(path, kPairBytesMax);
  if (text) return std::move(*text);
  throw Error(ErrorCode::not_found, path + " is gone");
}

// One attempt, on the thread for programs.
struct Attempt {
  AcmeCommand command;
  std::string domain;
  std::string folder;
  std::string work_dir;
  std::string webroot;
  std::chrono::milliseconds limit;
  std::optional<net::TlsIdentity> before;  // the certificate that is to be replaced
  std::shared_ptr<std::atomic<bool>> stop;

  // Empty: the certificate is in its place. Else why not.
  std::string make() const {
    try {
      return run();
    } catch (const Error& error) {
      return error.what();
    }
  }

  std::string run() const {
    sys::make_dirs(work_dir);
    sys::make_dirs(webroot + std::string(kProofs));
    const auto is_wanted = [stop = stop] { return !stop->load(); };
    const sys::ProgramEnd end =
        sys::run_bounded(command.program(), command.arguments(domain, webroot, work_dir), limit,
                         {.environment = program_environment(), .is_wanted = is_wanted});
    if (end.timed_out) return "the program did not end in time: " + end_of_output(end.output);
    if (end.exit_code != 0) {
      return "the program ended with " + std::to_string(end.exit_code) + ": " +
             end_of_output(end.output);
    }
    const auto files = find_issued(work_dir, domain);
    if (!files)
      return "the program put no certificate into its {directory}: " + end_of_output(end.output);
    const std::string chain = required_text(files->chain);
    const std::string key = required_text(files->key);
    const auto identity = net::TlsIdentity::from_pem(chain, key, wall_now());
    if (!identity.covers(domain)) return "the program got a certificate of another name";
    if (before && *before == identity) return "the program left the certificate as it was";
    sys::replace_file(issued_file(folder), chain + "\n" + key);
    return {};
  }
};

}  // namespace

Orders::Orders(asio::any_io_executor executor, async::Pool& pool, Options options,
               Certificates& certificates, Certificates::IsVerified is_verified)
    : executor_(executor),
      pool_(pool),
      options_(std::move(options)),
      certificates_(certificates),
      is_verified_(std::move(is_verified)),
      wake_(executor),
      program_thread_(1),
      tasks_(executor) {}

void Orders::start() { tasks_.spawn(work()); }

asio::awaitable<void> Orders::work() {
  for (;;) {
    try {
      co_await work_until_failure();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      log::error("certificates: {}", error.what());
    }
    co_await wake_.wait_for(options_.look);
  }
}

asio::awaitable<void> Orders::work_until_failure() {
  for (;;) {
    if (!is_read_) co_await read_all();
    wake_.reset();
    co_await forget_others();
    if (auto domain = next_due()) {
      co_await attempt(std::move(*domain));
    } else {
      co_await wake_.wait_for(options_.look);
    }
  }
}

asio::awaitable<void> Orders::read_all() {
  auto read = [dir = options_.dir] {
    std::map<std::string, Order> found;
    for (const std::string& domain : sys::folders_in(dir)) {
      try {
        auto order = read_order(dir + "/" + domain);
        if (!order) continue;
        // A clock that was ahead once keeps no certificate from being renewed.
        order->attempted_at = std::min(order->attempted_at, wall_now());
        found[domain] = std::move(*order);
      } catch (const Error& error) {
        log::error("certificate of {}: the record of its order does not read, and begins anew: {}",
                   domain, error.what());
        found[domain] = Order();
      }
    }
    return found;
  };
  const auto found = co_await async::offload(pool_, std::move(read));
  for (const auto& [domain, order] : found) {
    const auto added = entries_.try_emplace(domain);
    if (added.second) added.first->second.order = order;
  }
  is_read_ = true;
}

// Domains may end with their cells, too.
asio::awaitable<void> Orders::forget_others() {
  std::vector<std::string> folders;
  for (const auto& [domain, entry] : entries_) {
    if (!is_verified_(domain)) folders.push_back(folder_of(domain));
  }
  if (folders.empty()) co_return;
  std::erase_if(entries_, [this](const auto& entry) { return !is_verified_(entry.first); });
  auto remove = [folders = std::move(folders)] {
    for (const std::string& folder : folders) remove_order(folder);
  };
  co_await async::offload(pool_, std::move(remove));
}

namespace {

// The first domain in a line.
struct First {
  std::optional<std::string> domain;
  WallTime since;

  void offer(const std::string& other, WallTime other_since) {
    if (domain && since <= other_since) return;
    domain = other;
    since = other_since;
  }
};

}  // namespace

std::optional<std::string> Orders::next_due() {
  const WallTime now = wall_now();
  First asked;  // the longest not tried
  First due;
  for (const auto& [domain, entry] : entries_) {
    if (entry.is_asked) {
      asked.offer(domain, entry.order.attempted_at);
    } else if (!certificates_.is_operators(domain)) {  // Else renewed by whoever put it there.
      const WallTime at = due_at(entry.order, certificates_.identity(domain), options_.times);
      if (at <= now) due.offer(domain, at);
    }
  }
  was_asked_ = asked.domain && (!due.domain || !was_asked_);
  return was_asked_ ? asked.domain : due.domain;
}

asio::awaitable<void> Orders::attempt(std::string domain) {
  entries_[domain].is_asked = true;
  log::info("certificate of {}: asking for it", domain);
  const auto stop = std::make_shared<std::atomic<bool>>(false);
  stop_ = stop;
  tasks_.spawn(watch(domain, stop));
  const Attempt one{.command = options_.command,
                    .domain = domain,
                    .folder = folder_of(domain),
                    .work_dir = options_.work_dir,
                    .webroot = options_.webroot,
                    .limit = options_.run_limit,
                    .before = certificates_.identity(domain),
                    .stop = stop};
  auto make = [one] { return one.make(); };
  std::string problem = co_await async::offload(program_thread_, std::move(make));
  stop_.reset();
  if (is_closing_) throw Error(ErrorCode::canceled, "the daemon ends");
  if (!is_verified_(domain)) {
    if (entries_[domain].ended) entries_[domain].ended->set();
    co_return;
  }
  if (problem.empty()) {
    co_await certificates_.reread();
    // Else one that is lost again and again would be got anew without a pause.
    if (!certificates_.identity(domain)) problem = "what the program got could not be read again";
  }
  Entry& entry = entries_[domain];
  entry.order.failures = problem.empty() ? 0 : entry.order.failures + 1;
  entry.order.attempted_at = wall_now();
  entry.order.problem = std::move(problem);
  entry.is_asked = false;
  if (!entry.order.problem.empty()) {
    log::error("certificate of {}: {}", domain, entry.order.problem);
  }
  auto note = [folder = folder_of(domain), order = entry.order] { write_order(folder, order); };
  co_await async::offload(pool_, std::move(note));  // Before whoever waits is told.
  Entry& noted = entries_[domain];
  if (noted.ended) noted.ended->set();
  noted.ended.reset();
}

asio::awaitable<void> Orders::watch(std::string domain, std::shared_ptr<std::atomic<bool>> stop) {
  const std::chrono::milliseconds kPause(500);
  while (stop_ == stop && is_verified_(domain)) co_await async::sleep_for(kPause);
  stop->store(true);
}

asio::awaitable<void> Orders::order(std::string domain) {
  const auto known = entries_.find(domain);
  if (known == entries_.end()) {
    auto note = [folder = folder_of(domain)] {
      try {
        if (read_order(folder)) return;
      } catch (const Error&) {  // It does not read: a new one takes its place.
      }
      write_order(folder, {});
    };
    co_await async::offload(pool_, std::move(note));
  } else if (!known->second.is_asked && known->second.order.failures > 0 &&
             wall_now() < known->second.order.attempted_at + options_.again_after) {
    co_return;
  }
  Entry& entry = entries_[domain];
  entry.is_asked = true;
  if (!entry.ended) entry.ended = std::make_shared<async::Event>(executor_);
  const auto ended = entry.ended;
  wake_.set();
  co_await ended->wait_for(options_.wait_limit);
}

std::optional<Orders::View> Orders::view(const std::string& domain) const {
  const auto entry = entries_.find(domain);
  if (entry == entries_.end()) return std::nullopt;
  const bool is_first = entry->second.order.attempted_at == WallTime();
  return View{.is_pending = entry->second.is_asked || is_first,
              .problem = entry->second.order.problem};
}

asio::awaitable<std::optional<std::string>> Orders::proof(std::string token) {
  const std::string path = options_.webroot + std::string(kProofs) + "/" + token;
  auto read = [path] { return sys::read_file(path, kProofBytesMax); };
  co_return co_await async::offload(pool_, std::move(read));
}

asio::awaitable<void> Orders::close() {
  is_closing_ = true;
  if (stop_) stop_->store(true);
  co_await tasks_.close();
}

}  // namespace cellar::certificates
