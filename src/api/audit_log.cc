#include "api/audit_log.h"

#include <utility>

#include "async/sleep.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

namespace cellar::api {
namespace {

constexpr std::chrono::seconds kWriteEvery{1};
constexpr int kTrimEvery = 60;  // of these

}  // namespace

AuditLog::AuditLog(asio::any_io_executor executor, async::Pool& pool, const std::string& dir,
                   audit::Trail::Options options)
    : pool_(pool),
      trail_(std::make_shared<audit::Trail>(dir, options)),
      turns_(executor),
      limits_(options.limits),
      tasks_(executor) {}

void AuditLog::start() { tasks_.spawn(keep()); }

bool AuditLog::is_one_too_many(const audit::Entry& entry) {
  const bool is_refusal = entry.status == 401 || entry.status == 403;
  if (!is_refusal) return false;
  if (!entry.key_id.empty()) return ++refusal_count_ > kRefusalsPerSecondMax;
  if (stranger_room_ < 1) return true;
  stranger_room_ -= 1;
  return false;
}

void AuditLog::note(audit::Entry entry) {
  // Reads that are refused come without require_room(): there is a place for some behind the limit.
  if (waiting_count() >= 2 * kPendingMax) {
    ++lost_;
    return;
  }
  if (is_one_too_many(entry)) {
    ++left_out_;
    return;
  }
  pending_.push_back(std::move(entry));
}

void AuditLog::require_room() const {
  if (waiting_count() < kPendingMax) return;
  throw Error(ErrorCode::unavailable, "audit_unavailable",
              "nothing is changed: what was changed before cannot be written to the audit log",
              "see the daemon's log; its state folder's disk may be full");
}

asio::awaitable<void> AuditLog::flush() {
  const auto turn = co_await turns_.turn();
  if (pending_.empty()) co_return;
  auto batch = std::make_shared<std::vector<audit::Entry>>(std::exchange(pending_, {}));
  on_its_way_count_ = batch->size();
  auto append = [trail = trail_, batch] { trail->append(*batch); };
  std::exception_ptr failure;
  try {
    co_await async::offload(pool_, std::move(append));
  } catch (...) {
    failure = std::current_exception();
  }
  on_its_way_count_ = 0;
  if (!failure) co_return;
  batch->insert(batch->end(), pending_.begin(), pending_.end());
  pending_ = std::move(*batch);
  std::rethrow_exception(failure);
}

asio::awaitable<void> AuditLog::try_flush() {
  refusal_count_ = 0;
  stranger_room_ = std::min<double>(kRefusalsPerSecondMax, stranger_room_ + kStrangersPerSecond);
  // Behind the places of others there is one, for both of these in turn.
  if (left_out_ > 0 && waiting_count() <= 2 * kPendingMax) {
    audit::Entry many{.at = wall_now(), .operation = "refused", .status = 401};
    many.left_out = std::exchange(left_out_, 0);
    pending_.push_back(std::move(many));
  }
  if (lost_ > 0 && waiting_count() <= 2 * kPendingMax) {
    audit::Entry many{.at = wall_now(), .operation = "lost", .status = 0};
    many.lost = std::exchange(lost_, 0);
    pending_.push_back(std::move(many));
  }
  try {
    co_await flush();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::error("audit: {} entries wait: {}", pending_.size(), error.what());
  }
}

asio::awaitable<void> AuditLog::keep() {
  for (int round = 0;; ++round) {
    co_await try_flush();
    if (round % kTrimEvery == 0) {
      const auto turn = co_await turns_.turn();
      auto trim = [trail = trail_, limits = limits_] { trail->trim(wall_now(), limits); };
      try {
        co_await async::offload(pool_, std::move(trim));
      } catch (const Error& error) {
        if (error.code() == ErrorCode::canceled) throw;
        log::warning("audit: old files are kept: {}", error.what());
      }
    }
    co_await async::sleep_for(kWriteEvery);
  }
}

asio::awaitable<audit::Trail::Page> AuditLog::read(audit::Seq after, std::size_t limit) {
  co_await flush();
  const auto turn = co_await turns_.turn();
  auto look = [trail = trail_, after, limit] { return trail->read(after, limit); };
  co_return co_await async::offload(pool_, std::move(look));
}

asio::awaitable<void> AuditLog::close() {
  co_await tasks_.close();
  co_await try_flush();
}

}  // namespace cellar::api
