#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "cell/cell.h"

namespace cellar::api {

namespace asio = boost::asio;

// Which types of events a client wants: "step.completed", and "cell.*" for all that begin with
// "cell.".
class EventTypes {
 public:
  EventTypes() = default;  // all
  // Throws Error `invalid_argument`.
  explicit EventTypes(const std::optional<std::string>& list);

  bool want(std::string_view type) const;
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
  std::vector<std::string> names_;  // none: all
};

// That a client may have seen an event with the number `after`. Throws Error `invalid_argument`
// where there is none yet.
void require_event(journal::Lsn after, const cell::CellJournal& journal);

// The next events of a cell or of a run as a stream tells them. Of the many who follow a cell most
// are at its newest event and want the same: what was made for the first is kept for the others.
// Loop thread only.
class EventPages {
 public:
  struct Page {
    journal::Lsn durable = 0;  // so far, when it was made
    journal::Lsn after = 0;
    std::string text;
    journal::Lsn seen = 0;  // go on behind this one
    bool more = false;      // there is more that is durable already
  };

  // The events of all of `cell` behind `after`.
  asio::awaitable<Page> next(std::shared_ptr<cell::Cell> cell, journal::Lsn after,
                             const EventTypes& types, cell::View view);

  // Larger ones are made for each.
  static constexpr std::size_t kKeptBytesMax = 64 << 10;
  // Of cells, types and views, each with its newest page.
  static constexpr std::size_t kKeptMax = 256;

 private:
  struct Kept {
    std::weak_ptr<cell::Cell> cell;  // another may have its place in memory by now
    Page page;
  };
  using Key = std::tuple<const cell::Cell*, std::string, cell::View>;
  std::map<Key, Kept> kept_;
};

}  // namespace cellar::api
