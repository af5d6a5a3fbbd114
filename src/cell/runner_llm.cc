// Calls of models. The daemon makes them: the key stays here, and an answer that was paid for is
// recorded whatever becomes of the agent that asked for it.

#include <algorithm>
#include <utility>

#include "base/fault.h"
#include "base/log.h"
#include "base/random.h"
#include "cell/llm_account.h"
#include "cell/runner_parts.h"
#include "llm/retry.h"

namespace cellar::cell {

// One call on its way through its attempts.
struct Runner::LlmCall {
  LlmCall(HostCall from, const asio::any_io_executor& executor)
      : call(std::move(from)), run(call.owner->run.number), changed(executor) {}

  void end() noexcept {
    asking->end();
    changed.set();
  }

  std::chrono::milliseconds left() const {
    if (!end_at) return std::chrono::milliseconds(kForever);
    return std::chrono::duration_cast<std::chrono::milliseconds>(*end_at - wall_now());
  }

  HostCall call;  // who asked first
  const std::uint32_t run;
  const std::size_t request_bytes = call.request.size();
  std::optional<WallTime> end_at;  // of all attempts
  std::shared_ptr<const llm::Prepared> prepared;
  // Of the attempt that is under way; shared with it.
  std::shared_ptr<llm::Models::Asking> asking = std::make_shared<llm::Models::Asking>();
  bool is_asking = false;     // an attempt is on its way: its outcome is recorded first
  async::Event changed;       // it is to end
  std::uint32_t attempt = 0;  // that is under way
};

namespace {

constexpr std::string_view kBudgetReason = "budget";
constexpr std::size_t kRequestsBytesMax = 64 << 20;  // of a cell that are under way

std::string llm_error(std::string_view name, const std::string& message, const std::string& code) {
  return error_json(name, message, code);
}

// What would fail again, whatever is tried.
std::string final_error(const Error& error) {
  const std::string help = error.remediation().empty() ? "" : ": " + error.remediation();
  return llm_error("NonRetryableError", error.what() + help, error.reason());
}

std::string failure_json(const llm::Failure& failure) {
  return llm_error(failure.is_passing ? "Error" : "NonRetryableError", failure.message,
                   failure.code);
}

}  // namespace

// A call that an earlier attempt of the run has begun, and that goes on.
bool Runner::is_asked_already(std::uint32_t run, std::uint32_t ordinal) const {
  return ordinal != 0 && std::any_of(llm_calls_.begin(), llm_calls_.end(), [&](const auto& known) {
           return known->run == run && known->call.ordinal == ordinal && !known->asking->is_ended();
         });
}

// Whether an `llm` command needs nothing more: it was ended, or goes on, since the agent was told
// of it as open. Its result is sent when it is there.
bool Runner::is_llm_known(const Run& run, std::uint32_t ordinal) const {
  const auto step = run.steps.find(ordinal);
  const bool has_ended =
      ordinal != 0 && step != run.steps.end() && step->second.status != StepStatus::open;
  return has_ended || is_asked_already(run.number, ordinal);
}

// The same, or its run is paused, now or soon, as it may ask no more.
asio::awaitable<bool> Runner::is_llm_settled(Active& active, std::uint32_t ordinal) {
  if (is_llm_known(active.run, ordinal)) co_return true;
  if (!host_.llm().is_spent(active.run.llm_tokens)) co_return false;
  active.is_over_budget = true;
  co_await pause_for_budget(active.run.number);
  co_return true;
}

void Runner::end_llm_calls(std::uint32_t run) {
  for (const auto& call : llm_calls_) {
    if (call->run == run) call->end();
  }
}

// Each keeps its request, more than once.
void Runner::require_llm_room() const {
  std::size_t bytes = 0;
  for (const auto& known : llm_calls_) bytes += known->request_bytes;
  const std::size_t count_max = LlmAccount::kAtOnce + LlmAccount::kWaitersMax;
  if (llm_calls_.size() <= 1 || (bytes <= kRequestsBytesMax && llm_calls_.size() <= count_max)) {
    return;
  }
  throw Error(ErrorCode::unavailable, "too_many_waiting",
              "ctx.llm.chat: too many calls of this cell, or too long ones, are under way");
}

asio::awaitable<void> Runner::run_llm(HostCall call) {
  const auto own = std::make_shared<LlmCall>(std::move(call), executor_);
  llm_calls_.insert(own);
  std::string failure;
  try {
    require_llm_room();
    co_await carry_llm(own);
  } catch (const Error& error) {
    llm_calls_.erase(own);
    if (error.code() == ErrorCode::canceled) throw;
    log::warning("a call of a model: {}", error.what());
    failure = error_json(error);
  } catch (...) {
    llm_calls_.erase(own);
    throw;
  }
  // Nobody waits for ever: too many waited, or something broke.
  if (!failure.empty()) co_await end_llm(*own, Outcome::failed(std::move(failure)));
  llm_calls_.erase(own);
  co_await pause_for_budget(own->run);  // What it waited for may have been this.
}

asio::awaitable<void> Runner::carry_llm(std::shared_ptr<LlmCall> own) {
  LlmAccount& account = host_.llm();
  std::string refusal;
  try {
    account.require_open();
    auto prepare = [&models = account.models(), text = std::move(own->call.request)] {
      return std::make_shared<const llm::Prepared>(models.prepare(text));
    };
    own->prepared = co_await async::offload(journal_.pool(), std::move(prepare));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    refusal = final_error(error);
  }
  if (!refusal.empty()) co_return co_await end_llm(*own, Outcome::failed(std::move(refusal)));
  const Run* run = runs_.find(own->run);
  if (run == nullptr) co_return;  // It ended meanwhile.
  const auto step = run->steps.find(own->call.ordinal);
  const bool is_known = own->call.ordinal != 0 && step != run->steps.end();
  if (is_known) own->attempt = step->second.failed_attempts;
  const WallTime began = is_known ? step->second.started_at : wall_now();
  std::optional<WallTime> due = is_known ? step->second.retry_at : std::nullopt;
  const auto& total = own->prepared->request.total_limit;
  if (total) own->end_at = began + *total;
  for (;;) {
    const bool may = co_await may_ask(*own, due);
    if (!may) co_return;
    if (own->left().count() <= 0) {
      const std::string late =
          "ctx.llm.chat: no answer within " + std::to_string(total->count()) + " ms in all";
      std::string error = llm_error("StepTimeoutError", late, "step_timeout");
      co_return co_await end_llm(*own, Outcome::failed(std::move(error)));
    }
    due = co_await ask_once(own);
    if (!due) co_return;
  }
}

// Waits until the next attempt is due, and for its turn. False where it is not made: the call is
// given up, or the run is paused as its budget is spent.
asio::awaitable<bool> Runner::may_ask(LlmCall& own, std::optional<WallTime> due) {
  while (due && !own.asking->is_ended()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*due - wall_now());
    if (left.count() <= 0) break;
    co_await own.changed.wait_for(left);
  }
  const Run* run = runs_.find(own.run);
  // One that is paused meanwhile asks again when it goes on.
  if (run == nullptr || own.asking->is_ended() || !active_.contains(own.run)) co_return false;
  // Inside a step: another attempt asks anew.
  if (own.call.ordinal == 0 && own.call.attempt != run->attempt) co_return false;
  if (!host_.llm().is_spent(run->llm_tokens)) co_return true;
  if (const auto active = find_active(own.run)) active->is_over_budget = true;
  co_return false;  // Its step stays open: it is asked for again when the run goes on.
}

// One attempt. When the next one is due; nullopt where none follows.
asio::awaitable<std::optional<WallTime>> Runner::ask_once(std::shared_ptr<LlmCall> own) {
  const auto turn = co_await host_.llm().turn_within(own->left());
  const bool may = co_await may_ask(*own, std::nullopt);  // Others have asked meanwhile.
  if (!may) co_return std::nullopt;
  const auto left = own->left();
  // Its turn came too late, or not: carry_llm() says so.
  if (!turn || left.count() <= 0) co_return wall_now();
  ++own->attempt;
  own->is_asking = true;
  const auto printed = std::make_shared<Printed>(own->run, own->call.ordinal, executor_);
  if (own->call.ordinal == 0) printed->attempt = own->call.attempt;
  const auto on_text = [this, own, printed](const std::string& text) {
    tell_delta(*own, printed, text);
  };
  fault_point("llm.before_asked");
  llm::Attempt attempt =
      co_await host_.llm().models().ask(own->prepared, own->asking, left, on_text);
  co_await all_given(printed);
  fault_point("llm.answered");
  if (attempt.usage) co_await count_llm(*own, *attempt.usage);
  if (attempt.reply) {
    const json::Value reply = llm::to_json(*attempt.reply, *attempt.usage);
    co_await end_llm(*own, Outcome::gave(json::dump(reply)));
    co_return std::nullopt;
  }
  co_return co_await after_failure(*own, attempt.failure);
}

asio::awaitable<std::optional<WallTime>> Runner::after_failure(LlmCall& own,
                                                               const llm::Failure& failure) {
  const llm::ChatRequest& request = own.prepared->request;
  const auto pause = failure.after.value_or(llm::pause_after(own.attempt, random_u64()));
  const bool is_last =
      !failure.is_passing || own.attempt >= request.attempts_max || pause >= own.left();
  std::string error = failure_json(failure);
  if (is_last) {
    co_await end_llm(own, Outcome::failed(std::move(error)));
    co_return std::nullopt;
  }
  const WallTime next = wall_now() + pause;
  journal::StepAttemptFailed failed;
  failed.attempt = own.attempt;
  failed.error = own.call.sensitive ? redacted_error(error) : std::move(error);
  failed.next_at_ns = static_cast<std::uint64_t>(to_unix_ms(next)) * 1'000'000;
  const bool is_room = own.call.ordinal != 0 && co_await takes(failed.error.size());
  const Run* run = runs_.find(own.run);
  const bool is_open = run != nullptr && !is_terminal(run->status) && !own.asking->is_ended();
  if (is_room && is_open) {
    journal_.append(own.run, own.call.ordinal, failed);
    journal_.sync_soon();
  }
  own.is_asking = false;
  co_await pause_for_budget(own.run);
  co_return next;
}

// To whoever listens, and to the agent where it wants to be told.
void Runner::tell_delta(const LlmCall& own, const std::shared_ptr<Printed>& printed,
                        const std::string& text) {
  if (own.asking->is_ended()) return;
  if (!own.call.sensitive) {
    journal::Event event;
    event.type = kLlmDelta;
    event.step = own.call.step;
    event.turn = own.call.ordinal == 0 ? own.call.turn : own.attempt;
    event.data = json::dump(
        json::object({{"ordinal", own.call.ordinal}, {"attempt", own.attempt}, {"text", text}}));
    take_output(printed, std::move(event));
  }
  const auto active = find_active(own.run);
  const bool is_heard = own.prepared->request.tells_agent && active && active->is_served() &&
                        agent_ &&
                        (own.call.ordinal != 0 || own.call.attempt == active->run.attempt);
  if (!is_heard) return;
  json::Value header = frame_for(active->run, "delta");
  header.as_object().set("o", own.call.ordinal);
  header.as_object().set("x", own.call.tag);
  agent_->send(header, json::dump(json::Value(text)));
}

// On disk, in the cell's own file and among what the run did, before anybody sees the answer.
asio::awaitable<void> Runner::count_llm(const LlmCall& own, llm::Usage usage) {
  std::string model = own.prepared->choice.model;
  journal::Event event;
  event.type = kLlmUsage;
  event.step = own.call.step;
  event.data = json::dump(json::object({{"ordinal", own.call.ordinal},
                                        {"model", model},
                                        {"input_tokens", usage.input_tokens},
                                        {"output_tokens", usage.output_tokens}}));
  co_await host_.llm().count(std::move(model), usage);
  const bool is_room = co_await takes(event.data.size());
  Run* run = runs_.find(own.run);
  if (run == nullptr) co_return;
  if (is_room) {
    journal_.append(own.run, own.call.ordinal, event);
    journal_.sync_soon();
  } else {
    run->llm_tokens += usage.total();  // Until the daemon ends; the cell's own count has it.
  }
}

// The outcome of the call, recorded whether its agent is there or not.
asio::awaitable<void> Runner::end_llm(LlmCall& own, Outcome outcome) {
  const HostCall& call = own.call;
  Run* run = runs_.find(own.run);
  if (run == nullptr || is_terminal(run->status) || own.asking->is_ended()) {
    own.is_asking = false;
    co_return;
  }
  if (call.ordinal != 0) {
    // Room is owed to what an active run has begun.
    const bool is_room = find_active(own.run) || co_await takes(outcome.value.size());
    if (!is_room) co_return;
    const MadeEnd end = co_await make_step_end(outcome);
    run = runs_.find(own.run);
    if (run == nullptr || is_terminal(run->status) || own.asking->is_ended()) co_return;
    fault_point("llm.before_ended");
    journal_.append(own.run, call.ordinal, end.record);
    fault_point("llm.ended");
    if (!end.is_kept) outcome = Outcome::failed(not_kept_error());
  }
  own.is_asking = false;
  const auto active = find_active(own.run);
  const bool is_same_attempt = active && call.attempt == active->run.attempt;
  const bool is_served = active && active->is_served() && agent_;
  if (!is_served || (call.ordinal == 0 && !is_same_attempt)) {
    journal_.sync_soon();  // The next attempt finds it in the journal.
    co_return;
  }
  HostCall to = call_of(*active);
  to.ordinal = call.ordinal;
  to.tag = call.tag;
  answer(agent_, to, std::move(outcome));
}

// Once no attempt of the run is on its way any more, and where one was not made for the budget.
asio::awaitable<void> Runner::pause_for_budget(std::uint32_t number) {
  const auto active = find_active(number);
  if (!active) co_return;
  const bool is_asking = std::any_of(llm_calls_.begin(), llm_calls_.end(), [&](const auto& call) {
    return call->run == number && call->is_asking;
  });
  if (!active->is_over_budget || is_asking || !active->is_wanted()) co_return;
  const auto budget = host_.llm().budget();
  const bool is_of_run = budget && budget->per == llm::Budget::Per::run;
  const LlmUse::OfModel all = host_.llm().use().total();
  const std::uint64_t used =
      is_of_run ? active->run.llm_tokens : all.input_tokens + all.output_tokens;
  const Error error(ErrorCode::exhausted, std::string(kBudgetReason),
                    "the budget of " + std::to_string(budget ? budget->tokens : 0) +
                        " tokens for a " + (is_of_run ? "run" : "cell") +
                        " is spent: " + std::to_string(used) + " are used",
                    "raise it (\"cellar llm " + host_.llm().cell_id() + " --budget TOKENS" +
                        (is_of_run ? " --per run" : "") + "\"), then resume the run");
  co_await pause_run(*active, error.reason(), pause_json(error));
}

}  // namespace cellar::cell
