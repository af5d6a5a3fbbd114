#include "cell/warm_agents.h"

#include <algorithm>

#include "async/sleep.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "cell/cgroups.h"
#include "cell/kept_code.h"
#include "cell/runner_parts.h"
#include "cell/spec.h"
#include "cell/stock.h"
#include "sandbox/groups.h"
#include "sys/directory.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::chrono::milliseconds kLookPause{500};
constexpr std::chrono::seconds kGreetingMax{10};
constexpr std::chrono::seconds kHelloMax{20};
// One is not made where there is less above the reserve than several take.
constexpr std::uint64_t kRoomBytes = 256 << 20;
constexpr std::uint32_t kLeastWeight = 1;
constexpr const char* kNobodysName = "cell";

// A host that says nothing is of no use.
asio::awaitable<void> end_silent(std::weak_ptr<AgentProcess> host,
                                 std::shared_ptr<const bool> has_said_all) {
  co_await async::sleep_for(kHelloMax);
  const auto still_there = host.lock();
  if (still_there && !*has_said_all) still_there->kill();
}

// Whether it ended by itself or by end_silent() nobody knows who waits for its next word.
[[noreturn]] void throw_silent() {
  throw Error(ErrorCode::unavailable, "agent_exit",
              "the agent host ended, or said nothing for " + std::to_string(kHelloMax.count()) +
                  " s: is this machine very busy?");
}

asio::awaitable<void> serve_link(std::shared_ptr<DomainLink> link) { co_await link->serve(); }

bool is_well(const WarmAgent& warm) {
  return !warm.place.domain->is_lost() && warm.place.domain->is_running(warm.place.id);
}

}  // namespace

// ---- ranges ----

std::optional<std::uint32_t> WarmRanges::take() {
  CELLAR_CHECK(is_on_own_thread());
  for (std::uint32_t tried = 0; tried < kCount; ++tried) {
    const std::uint32_t base = kBase + next_ * kUidRange;
    next_ = (next_ + 1) % kCount;
    if (held_.insert(base).second) return base;
  }
  return std::nullopt;
}

void WarmRanges::hold(std::uint32_t uid_base) {
  CELLAR_CHECK(is_on_own_thread());
  held_.insert(uid_base);
}

void WarmRanges::release(std::uint32_t uid_base) noexcept {
  CELLAR_CHECK(is_on_own_thread());
  held_.erase(uid_base);
}

// ---- warm agents ----

WarmAgents::WarmAgents(asio::any_io_executor executor, async::Pool& pool, async::Pool& pipes,
                       Spawner& spawner, Capacity& capacity, Options options)
    : executor_(executor),
      pool_(pool),
      pipes_(pipes),
      spawner_(spawner),
      capacity_(capacity),
      options_(std::move(options)),
      ranges_(static_cast<std::uint32_t>(std::stoul(random_hex(2), nullptr, 16))),
      links_(executor),
      makings_(executor),
      tasks_(executor) {}

void WarmAgents::start() {
  const std::string folder = options_.state_dir + "/warm";
  sys::remove_tree(folder);
  if (options_.count == 0) return;
  sys::make_dirs(folder, 0700);
  Stock stock{.what = "warm agent",
              .pause = kLookPause,
              .room_bytes = kRoomBytes,
              .lacks_one =
                  [this] {
                    end_useless();
                    return ready_.size() < options_.count;
                  },
              .make_one = [this] { return make_one(); }};
  tasks_.spawn(keep_stock(std::move(stock), capacity_, makings_));
}

asio::awaitable<void> WarmAgents::close() {
  options_.count = 0;
  co_await tasks_.close();
  co_await makings_.join();  // What is under way at the spawner is known to nobody else.
  while (!ready_.empty()) {
    WarmAgent warm = std::move(ready_.front());
    ready_.pop_front();
    co_await end(std::move(warm));
  }
  co_await links_.close();
}

std::optional<WarmAgent> WarmAgents::take(const std::string& image_dir) {
  const auto fits = [&](const WarmAgent& warm) {
    return warm.image_dir == image_dir && is_well(warm);
  };
  const auto found = std::find_if(ready_.begin(), ready_.end(), fits);
  if (found == ready_.end()) return std::nullopt;
  WarmAgent warm = std::move(*found);
  ready_.erase(found);
  return warm;
}

void WarmAgents::discard(WarmAgent warm) { links_.spawn(end(std::move(warm))); }

// Those that have ended, that no new cell's image has, or whose memory others need.
void WarmAgents::end_useless() {
  if (ready_.empty()) return;
  const bool yields = capacity_.lacks_memory();
  const std::string wanted = image_dir();
  std::deque<WarmAgent> useless;
  for (auto at = ready_.begin(); at != ready_.end();) {
    const bool stays = !yields && is_well(*at) && at->image_dir == wanted;
    if (!stays) useless.push_back(std::move(*at));
    at = stays ? std::next(at) : ready_.erase(at);
  }
  if (yields) log::info("memory is short: {} warm agents end", useless.size());
  // Also where the daemon ends meanwhile.
  for (WarmAgent& warm : useless) discard(std::move(warm));
}

std::string WarmAgents::image_dir() const {
  const auto image = options_.images.find(std::string(image::kDefaultName));
  return image ? image->dir : std::string();
}

sandbox::CgroupPlan WarmAgents::groups_of(const std::string& slot) const {
  const Limits& limits = tiers().front().limits;
  const sandbox::ResourceLimits resources{
      .memory_bytes = limits.memory_bytes, .pids_max = limits.pids_max, .cpu_weight = kLeastWeight};
  return sandbox::plan_cgroups(options_.cgroup_host, options_.daemon_group, slot, resources);
}

asio::awaitable<void> WarmAgents::make_one() {
  const auto range = ranges_.take();
  if (!range) throw Error(ErrorCode::exhausted, "all ranges of ids for warm agents are in use");
  sandbox::DomainSpec spec;
  spec.cell_id = kNobodysName;
  spec.kind = sandbox::DomainKind::agent;
  spec.part = sandbox::Part::warm;
  spec.image_dir = image_dir();
  spec.uid_base = *range;
  spec.binds.push_back({options_.agent_host_dir, kAgentHostFolder});
  std::optional<WarmAgent> made;
  try {
    made = co_await make_in(std::move(spec));
  } catch (...) {
    ranges_.release(*range);
    throw;
  }
  std::exception_ptr failure;
  try {
    if (!is_closing()) co_await start_host(*made);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && !is_closing()) {
    discard(std::move(*made));
    std::rethrow_exception(failure);
  }
  if (!is_closing()) log::debug("a warm agent is ready: process {}", made->init.pid);
  ready_.push_back(std::move(*made));  // close() ends it.
}

asio::awaitable<WarmAgent> WarmAgents::make_in(sandbox::DomainSpec spec) {
  WarmAgent warm;
  warm.image_dir = spec.image_dir;
  warm.place.uid = spec.uid_base;
  warm.socket_path = options_.state_dir + "/warm/" + std::to_string(++made_count_) + ".sock";
  std::string path = warm.socket_path;
  std::string no_slot;
  Spawner::Domain domain =
      co_await spawner_.make_domain(std::move(spec), std::move(path), std::move(no_slot));
  warm.slot = domain.slot;
  const auto init = sys::identify(static_cast<pid_t>(domain.pid));
  if (init) {
    warm.init = *init;
    warm.connection = std::move(domain.connection);
    co_return warm;
  }
  links_.spawn(end_slot(warm.slot, warm.socket_path, warm.place.uid));
  throw Error(ErrorCode::unavailable, "domain_lost", "cell-init ended at once");
}

asio::awaitable<void> WarmAgents::start_host(WarmAgent& warm) {
  const sandbox::CgroupPlan groups = groups_of(warm.slot);
  sandbox::apply(groups);
  const auto link = std::make_shared<DomainLink>(executor_, std::move(warm.connection));
  links_.spawn(serve_link(link));
  warm.place.domain = link;
  co_await link->greeted(kGreetingMax);
  warm.place.id = link->new_id();
  warm.place.pipes = async::Lane(pipes_);
  const sandbox::ProgramPlan program = sandbox::plan_program(
      options_.cgroup_host, groups, sandbox::DomainKind::agent, warm.place.id, {});
  sandbox::apply(program, warm.place.uid);
  warm.place.group = program.group;
  warm.place.join = program.folders;
  warm.place.count_oom_kills = [memory = program.memory] { return oom_kills(memory); };
  warm.place.note_start = [](std::uint32_t, const std::vector<std::string>&) {};
  AgentProcess::Options nobodys;
  nobodys.image = std::string(image::kDefaultName);
  nobodys.on_end = [](const CommandPlace&) {};
  CommandPlace place = warm.place;
  warm.host = co_await AgentProcess::start(executor_, std::move(place), std::move(nobodys));
  const auto has_said_all = std::make_shared<bool>(false);  // end_silent() may see it later.
  links_.spawn(end_silent(warm.host, has_said_all));
  const auto hello = co_await warm.host->receive();
  if (!hello) throw_silent();
  co_await keep_code(*warm.host, *hello);
  *has_said_all = true;
}

// Only nobody's is asked for it: what a cell's makes might be anything, and others would run it.
asio::awaitable<void> WarmAgents::keep_code(AgentProcess& host, const AgentFrame& hello) {
  const std::string name = text_of(hello.header, "lacks");
  if (name.empty()) co_return;
  host.send(json::object({{"t", "code"}}), {});
  auto code = co_await host.receive();
  if (!code) throw_silent();
  auto keep = [&folder = options_.agent_host_dir, &name, bytes = std::move(code->body)] {
    cell::keep_code(folder, name, bytes);
  };
  try {
    co_await async::offload(pool_, std::move(keep));
  } catch (const Error& error) {  // Agents start without.
    log::warning("it is not kept, agents start slower: {}", error.what());
  }
}

asio::awaitable<void> WarmAgents::end(WarmAgent warm) {
  if (warm.place.domain) warm.place.domain->close(LostBy::daemon);
  warm.host.reset();
  co_await end_slot(std::move(warm.slot), std::move(warm.socket_path), warm.place.uid);
}

asio::awaitable<void> WarmAgents::end_slot(std::string slot, std::string socket_path,
                                           std::uint32_t uid_base) {
  sys::remove_file(socket_path);
  co_await remove_surely(groups_of(slot));
  ranges_.release(uid_base);
}

}  // namespace cellar::cell
