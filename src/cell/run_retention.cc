// Which records of a cell's runs have to stay, and what is left of those that are gone.

#include <algorithm>
#include <functional>
#include <limits>
#include <set>

#include "base/sha256.h"
#include "base/text.h"
#include "cell/run.h"

namespace cellar::cell {
namespace {

// The number that new_run_id() put into it; 0 where there is none.
std::uint32_t number_in(std::string_view run_id) noexcept {
  const auto fields = split(run_id, '_');
  const auto number = fields.size() == 3 ? parse_int(fields[1]) : std::nullopt;
  if (!number || *number < 0 || *number > std::numeric_limits<std::uint32_t>::max()) return 0;
  return static_cast<std::uint32_t>(*number);
}

journal::Lsn needed_of(const Run& run, WallTime ended_before) {
  journal::Lsn first = run.created;
  for (const PastGeneration& past : run.past_generations) {
    if (past.ended_at < ended_before) continue;
    first = past.created;
    break;
  }
  if (is_terminal(run.status) || run.events.empty()) return first;
  return std::min(first, run.events.begin()->first);
}

std::string digest_of(const std::string& event_id) {
  return sha256(event_id).substr(0, kEventDigestBytes);
}

}  // namespace

bool Run::has_received(const std::string& event_id) const {
  if (event_ids.contains(event_id)) return true;
  if (known_events.empty()) return false;
  const std::string digest = digest_of(event_id);
  for (std::size_t at = 0; at < known_events.size(); at += kEventDigestBytes) {
    if (known_events.compare(at, kEventDigestBytes, digest) == 0) return true;
  }
  return false;
}

std::string Run::events_to_carry() const {
  std::vector<std::pair<journal::Lsn, const std::string*>> ids;
  for (const auto& [event_id, lsn] : event_ids) ids.emplace_back(lsn, &event_id);
  const std::size_t count = std::min(ids.size(), kEventIdsCarried);
  const auto carried_end = ids.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(ids.begin(), carried_end, ids.end(), std::greater());
  std::vector<std::string> digests;  // the newest first
  for (auto at = ids.begin(); at != carried_end; ++at) digests.push_back(digest_of(*at->second));
  const std::set<std::string> there(digests.begin(), digests.end());
  for (std::size_t end = known_events.size(); end > 0 && digests.size() < kEventIdsCarried;
       end -= kEventDigestBytes) {
    std::string older = known_events.substr(end - kEventDigestBytes, kEventDigestBytes);
    if (!there.contains(older)) digests.push_back(std::move(older));
  }
  std::string all;
  for (auto at = digests.rbegin(); at != digests.rend(); ++at) all += *at;
  return all;
}

// Newest first: a run was begun from an older one again.
journal::Lsn RunTable::first_needed(EndedBefore what_goes) {
  journal::Lsn first = std::numeric_limits<journal::Lsn>::max();
  std::set<std::string_view> sources;
  for (auto at = runs_.rbegin(); at != runs_.rend(); ++at) {
    const Run& run = *at->second;
    const bool is_over = is_terminal(run.status) && run.ended_at < what_goes.runs;
    if (is_over && !sources.contains(run.id)) continue;
    first = std::min(first, needed_of(run, what_goes.generations));
    for (const Step* wait : run.waits()) {  // One that an earlier generation began, perhaps.
      const Run* child = find(wait->child);
      if (child != nullptr) first = std::min(first, child->created);
    }
    if (run.forked.run_id.empty() || run.is_carried) continue;
    sources.insert(run.forked.run_id);
    // It may ask for what children of that one have given.
    for (const Run* child : children_of(run.forked.run_id)) {
      first = std::min(first, child->created);
    }
  }
  return first == std::numeric_limits<journal::Lsn>::max() ? 0 : first;
}

journal::Trim RunTable::trim_before(journal::Lsn first_kept) const {
  const auto gone = std::find_if(runs_.rbegin(), runs_.rend(), [first_kept](const auto& entry) {
    return entry.second->created < first_kept;
  });
  journal::Trim trim{.first_kept = first_kept, .setup_done = setup_done_};
  // Of those that are gone already; where no run's beginning is there, that is all but what is.
  trim.first_run = std::min(first_number_, last_number_ + 1);
  if (gone != runs_.rend()) trim.first_run = std::max(trim.first_run, gone->first + 1);
  return trim;
}

// Of runs that go on, what is told of earlier generations goes with their records.
void RunTable::trim(const journal::Trim& body) {
  setup_done_ = setup_done_ || body.setup_done;
  if (body.first_run != 0) last_number_ = std::max(last_number_, body.first_run - 1);
  // What is left of runs that an earlier life trimmed may follow, up to the first that is created.
  first_number_ = std::max(first_number_, body.first_run);
  const auto is_gone = [&](std::uint32_t number) {
    const Run* run = find(number);
    return number < body.first_run && (run == nullptr || run->created < body.first_kept);
  };
  std::erase_if(numbers_, [&](const auto& entry) { return is_gone(entry.second); });
  std::erase_if(keys_, [&](const auto& entry) { return is_gone(entry.second); });
  std::erase_if(runs_, [&](const auto& entry) { return is_gone(entry.first); });
  const auto is_before = [&](journal::Lsn lsn) { return lsn < body.first_kept; };
  for (auto& [number, run] : runs_) {
    std::erase_if(run->events, [&](const auto& entry) { return is_before(entry.first); });
    std::erase_if(run->event_ids, [&](const auto& entry) { return is_before(entry.second); });
    std::erase_if(run->past, [&](const PastSaid& past) { return is_before(past.outcome); });
    std::erase_if(run->past_generations,
                  [&](const PastGeneration& past) { return is_before(past.created); });
  }
}

bool RunTable::is_trimmed(std::string_view id) const noexcept {
  const std::uint32_t number = number_in(id);
  const bool is_before = number != 0 && number < first_number_ && number <= last_number_;
  return is_before && !runs_.contains(number);
}

}  // namespace cellar::cell
