// The agent host: when it starts, who attends to it, and that it ends where it answers nothing.

#include <algorithm>
#include <utility>

#include "async/sleep.h"
#include "base/log.h"
#include "cell/layout.h"
#include "cell/runner_parts.h"

namespace cellar::cell {

namespace {

// How soon a run looks again whether the agent host of another language has ended.
constexpr std::chrono::milliseconds kLanguagePause{20};

// Runs one of the agent's own coroutines, which needs it to stay.
asio::awaitable<void> keep(std::shared_ptr<AgentProcess> agent,
                           asio::awaitable<void> (AgentProcess::*work)()) {
  co_await ((*agent).*work)();
}

}  // namespace

// One process at a time: runs of an older agent in another language end, or leave it, first.
asio::awaitable<void> Runner::ensure_agent(AgentLanguage language,
                                           std::function<bool()> is_wanted) {
  while (is_wanted()) {
    const bool is_other = agent_ && agent_->language() != language;
    if (!is_starting_ && !is_other) break;
    if (is_other && !is_starting_ && !is_agent_in_use()) stop_agent("settings");
    starting_.reset();
    co_await starting_.wait_for(kLanguagePause);
  }
  if (!agent_ && is_wanted()) co_await start_agent(language);
}

asio::awaitable<void> Runner::stand_by(std::string agent_digest, AgentLanguage language) {
  co_await to_end(stand_by_now(std::move(agent_digest), language));
}

asio::awaitable<void> Runner::stand_by_now(std::string agent_digest, AgentLanguage language) {
  const auto is_wanted = [this] { return !agent_; };
  co_await ensure_agent(language, is_wanted);
  if (!agent_ || agent_->language() != language) co_return;  // A run was faster.
  agent_->send(json::object({{"t", "load"},
                             {"agent", CellLayout::agent_version_inside(agent_digest, language)}}),
               {});
}

bool Runner::is_agent_in_use() const noexcept {
  return !trials_.empty() || images_.use_count() > 1 ||
         std::any_of(active_.begin(), active_.end(),
                     [](const auto& entry) { return entry.second->in_agent; });
}

asio::awaitable<void> Runner::start_agent(AgentLanguage language) {
  is_starting_ = true;
  starting_is_stale_.clear();
  host_missing_.clear();
  try {
    agent_ = co_await host_.start_agent(language);
  } catch (...) {
    is_starting_ = false;
    starting_.set();
    throw;
  }
  is_starting_ = false;
  agent_end_cause_.clear();
  if (!starting_is_stale_.empty()) stop_agent(starting_is_stale_);
  told_steps_ = kStepsAtFirst;
  granted_steps_ = 0;
  tell_room();  // It has begun nothing yet.
  granted_steps_ = told_steps_;
  tasks_.spawn(serve_agent(agent_));
  tasks_.spawn(watch_agent(agent_));
  tasks_.spawn(keep(agent_, &AgentProcess::write_up));
  tasks_.spawn(keep(agent_, &AgentProcess::write_down));
  tasks_.spawn(keep(agent_, &AgentProcess::read_output));
  starting_.set();
}

asio::awaitable<void> Runner::serve_agent(std::shared_ptr<AgentProcess> agent) {
  for (;;) {
    try {
      std::optional<AgentFrame> frame = co_await agent->receive();
      if (!frame) break;
      co_await journal_.room();  // An agent that says more than the disk takes waits.
      co_await handle(*agent, std::move(*frame));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      log::error("agent host: {}; it is ended", error.what());
      agent->kill();
      break;
    }
  }
  const std::string own_end = co_await agent->wait_end();
  const std::string cause = agent_end_cause_.empty() ? own_end : agent_end_cause_;
  if (cause == AgentProcess::kHostMissing) host_missing_ = pause_json(agent->too_old());
  if (agent_ == agent) {
    agent_.reset();
    granted_steps_ = 0;
  }
  log::debug("the agent host ended: {}", cause);
  for (auto& [id, trial] : trials_) {
    trial->agent_end = cause;
    trial->ended.set();
  }
  // A run that only waits has hardly ended it, where another one had something under way.
  const bool is_anothers = counts_against_budget(cause) &&
                           std::any_of(active_.begin(), active_.end(), [](const auto& entry) {
                             const Active& active = *entry.second;
                             return active.in_agent && !active.has_only_waits_open();
                           });
  for (auto& [number, active] : active_) {
    if (!active->in_agent) continue;
    const bool had_no_part = is_anothers && active->has_only_waits_open();
    active->leave_agent(had_no_part ? std::string(kOtherRun) : cause);
  }
}

// Ends an agent host that is in an endless loop: one that leaves a ping unanswered while it has
// runs and no call of ours keeps it waiting.
asio::awaitable<void> Runner::watch_agent(std::weak_ptr<AgentProcess> watched) {
  for (;;) {
    co_await async::sleep_for(config_.stall_timeout / 4);
    const auto agent = watched.lock();  // Not while it sleeps: the last of these lets go of it.
    if (!agent || agent_ != agent) co_return;
    const bool has_work = !active_.empty() || !trials_.empty() || agent->is_within_frame();
    const bool expects_answer = synchronous_calls_ == 0 && has_work && host_.is_awake();
    if (!expects_answer) {
      agent->heard_from();
      continue;
    }
    if (agent->silent_for() >= config_.stall_timeout) {
      log::warning("the agent host answers nothing: it is ended");
      stop_agent("agent_stalled");
      co_return;
    }
    const json::Value ping = json::object({{"t", "ping"}, {"n", 0}});
    agent->send(ping, {});
  }
}

void Runner::stop_agent(const std::string& cause) {
  if (is_starting_) starting_is_stale_ = cause;
  if (!agent_) return;
  agent_end_cause_ = cause;
  agent_->kill();
}

}  // namespace cellar::cell
