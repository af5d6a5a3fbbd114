#include "cell/cgroups.h"

#include "async/sleep.h"
#include "base/error.h"
#include "base/text.h"
#include "sandbox/groups.h"
#include "sys/file.h"

namespace cellar::cell {
namespace {

constexpr std::chrono::seconds kRemoveLimit{10};
constexpr std::chrono::seconds kRemoveSurelyLimit{30};
constexpr std::chrono::milliseconds kRemoveAgainAfter{500};
constexpr std::chrono::milliseconds kPollPause{20};

// The number behind `key` in a file of "key number" lines; nullopt where there is no such line.
std::optional<std::int64_t> read_number(const std::string& path, std::string_view key) {
  const auto text = sys::read_file(path);
  if (!text) return std::nullopt;
  for (const std::string_view line : split(*text, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() == 2 && words[0] == key) return parse_int(words[1]);
  }
  return std::nullopt;
}

asio::awaitable<void> set_frozen(std::string folder, bool frozen, std::chrono::milliseconds limit) {
  sys::write_setting(folder + "/cgroup.freeze", frozen ? "1" : "0");
  auto reached = [folder, frozen] { return is_frozen(folder) == frozen; };
  co_await async::poll_until("cgroup " + folder, std::move(reached), limit, kPollPause);
}

}  // namespace

asio::awaitable<void> freeze(std::string folder, std::chrono::milliseconds limit) {
  std::optional<Error> failure;
  try {
    co_await set_frozen(folder, true, limit);
  } catch (const Error& error) {
    failure = error;
  }
  if (!failure) co_return;
  sys::write_setting(folder + "/cgroup.freeze", "0");  // Half a pause is none.
  throw *failure;
}

asio::awaitable<void> thaw(std::string folder) {
  return set_frozen(std::move(folder), false, kFreezeLimit);
}

bool is_frozen(const std::string& folder) {
  return read_number(folder + "/cgroup.events", "frozen") == 1;
}

void undo_half_freeze(const std::string& folder) {
  const auto asked = sys::read_file(folder + "/cgroup.freeze");
  if (!asked || trim(*asked) != "1" || is_frozen(folder)) return;
  sys::write_setting(folder + "/cgroup.freeze", "0");
}

asio::awaitable<void> end_group(std::string folder) {
  if (!sys::exists(folder)) co_return;
  sandbox::kill_group(folder);
  auto removed = [folder] { return sandbox::try_remove_tree(folder); };
  co_await async::poll_until("removal of cgroup " + folder, std::move(removed), kRemoveLimit,
                             kPollPause);
}

asio::awaitable<void> remove(sandbox::CgroupPlan plan) {
  if (plan.cell.empty()) co_return;
  sandbox::kill_group(plan.cell);
  auto removed = [plan] { return sandbox::try_remove(plan); };
  co_await async::poll_until("removal of the cgroups of " + plan.cell, std::move(removed),
                             kRemoveLimit, kPollPause);
}

asio::awaitable<void> remove_surely(sandbox::CgroupPlan plan) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const auto give_up = std::chrono::steady_clock::now() + kRemoveSurelyLimit;
  while (std::chrono::steady_clock::now() < give_up) {
    try {
      co_await remove(plan);
      co_return;
    } catch (const Error&) {  // The last attempt tells.
    }
    co_await async::sleep_for(kRemoveAgainAfter);
  }
  co_await remove(std::move(plan));
}

void set_swap(const std::string& memory_folder, Swap swap) noexcept {
  try {
    const std::string file = memory_folder + "/memory.swap.max";
    if (sys::exists(file)) sys::write_setting(file, swap == Swap::allowed ? "max" : "0");
  } catch (const std::exception&) {  // The cell has ended meanwhile, and its group with it.
  }
}

std::chrono::microseconds cpu_used(const std::string& folder) {
  return std::chrono::microseconds(read_number(folder + "/cpu.stat", "usage_usec").value_or(0));
}

std::uint64_t oom_kills(const std::string& memory_folder) {
  auto count = read_number(memory_folder + "/memory.events", "oom_kill");
  if (!count) count = read_number(memory_folder + "/memory.oom_control", "oom_kill");
  return static_cast<std::uint64_t>(count.value_or(0));
}

}  // namespace cellar::cell
