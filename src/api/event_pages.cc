#include "api/event_pages.h"

#include <algorithm>

#include "api/views.h"
#include "base/error.h"
#include "base/text.h"

namespace cellar::api {
namespace {

constexpr std::size_t kTypesMax = 32;

}  // namespace

EventTypes::EventTypes(const std::optional<std::string>& list) : text_(list.value_or("")) {
  if (!list) return;
  for (const std::string_view name : split(*list, ',')) {
    if (name.empty() || names_.size() == kTypesMax) {
      throw Error(ErrorCode::invalid_argument, "invalid_query",
                  "\"types\" must be 1 to " + std::to_string(kTypesMax) +
                      " types with commas between them, such as cell.*,run.completed");
    }
    names_.emplace_back(name);
  }
}

bool EventTypes::want(std::string_view type) const {
  const auto covers = [type](const std::string& name) {
    return name.ends_with(".*") ? type.starts_with(name.substr(0, name.size() - 1)) : type == name;
  };
  return names_.empty() || std::any_of(names_.begin(), names_.end(), covers);
}

void require_event(journal::Lsn after, const cell::CellJournal& journal) {
  if (after <= journal.last_durable()) return;
  throw Error(ErrorCode::invalid_argument, "invalid_query",
              "there is no event " + std::to_string(after) + " yet: the newest has a number of " +
                  std::to_string(journal.last_durable()) + " at most",
              "leave out \"after\" and Last-Event-ID to get all that is kept");
}

asio::awaitable<EventPages::Page> EventPages::next(std::shared_ptr<cell::Cell> cell,
                                                   journal::Lsn after, const EventTypes& types,
                                                   cell::View view) {
  cell::CellJournal& journal = cell->journal();
  const journal::Lsn durable = journal.last_durable();
  const Key key(cell.get(), types.text(), view);
  const auto found = kept_.find(key);
  if (found != kept_.end() && found->second.cell.lock() == cell) {
    const Page& kept = found->second.page;
    if (kept.after == after && kept.durable == durable) co_return kept;
  }
  Page page{.durable = durable, .after = after};
  const cell::CellJournal::Look look{.view = view};
  const auto events = co_await journal.events(after, look);
  page.seen = events.seen;
  page.more = events.more;
  for (const cell::RunEvent& event : events.list) {
    if (types.want(event.type)) append_event_text(page.text, event);
  }
  if (page.text.size() > kKeptBytesMax) co_return page;
  if (kept_.size() >= kKeptMax && !kept_.contains(key)) kept_.clear();
  kept_[key] = {cell, page};
  co_return page;
}

}  // namespace cellar::api
