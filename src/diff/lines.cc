#include "diff/lines.h"

#include <algorithm>
#include <map>

#include "base/check.h"

namespace cellar::diff {
namespace {

using Place = std::ptrdiff_t;

// Lines of one text that are compared: a number for each different line, and where it is.
struct Side {
  std::vector<std::size_t> numbers;
  std::vector<std::size_t> places;  // in the whole text
};

// How far paths with a given count of edits have come on each diagonal, from one corner.
class Reach {
 public:
  static constexpr Place kNone = -1;

  explicit Reach(Place diagonals) : middle_(diagonals + 1) {
    furthest_.resize(static_cast<std::size_t>(2 * middle_ + 1), kNone);
  }
  Place& at(Place diagonal) { return furthest_[static_cast<std::size_t>(middle_ + diagonal)]; }

 private:
  Place middle_;
  std::vector<Place> furthest_;
};

struct Box {
  Place left = 0;  // of the first text, `right` excluded
  Place right = 0;
  Place top = 0;  // of the second
  Place bottom = 0;
};

class Comparison {
 public:
  Comparison(const Side& before, const Side& after, Edits& edits)
      : before_(before),
        after_(after),
        edits_(edits),
        forward_(count(before) + count(after)),
        backward_(count(before) + count(after)) {}

  void run() {
    std::vector<Box> boxes = {{0, count(before_), 0, count(after_)}};
    while (!boxes.empty()) {
      Box box = boxes.back();
      boxes.pop_back();
      trim(box);
      if (box.left == box.right || box.top == box.bottom) {
        mark(box);
        continue;
      }
      const auto [x, y] = split(box);
      boxes.push_back({box.left, x, box.top, y});
      boxes.push_back({x, box.right, y, box.bottom});
    }
  }

 private:
  struct Point {
    Place x;
    Place y;
  };

  static Place count(const Side& side) { return static_cast<Place>(side.numbers.size()); }
  bool is_same(Place x, Place y) const {
    return before_.numbers[static_cast<std::size_t>(x)] ==
           after_.numbers[static_cast<std::size_t>(y)];
  }

  void trim(Box& box) const {
    while (box.left < box.right && box.top < box.bottom && is_same(box.left, box.top)) {
      ++box.left;
      ++box.top;
    }
    while (box.left < box.right && box.top < box.bottom && is_same(box.right - 1, box.bottom - 1)) {
      --box.right;
      --box.bottom;
    }
  }

  void mark(const Box& box) {
    for (Place x = box.left; x < box.right; ++x) {
      edits_.removed[before_.places[static_cast<std::size_t>(x)]] = true;
    }
    for (Place y = box.top; y < box.bottom; ++y) {
      edits_.added[after_.places[static_cast<std::size_t>(y)]] = true;
    }
  }

  // One edit more on the diagonal `k`, and then along it. `is_same(x, y)` counts from the corner.
  template <typename Same>
  static void extend(Reach& reach, Place edits, Place k, const Box& box, const Same& same) {
    const Place width = box.right - box.left;
    const Place height = box.bottom - box.top;
    Place& furthest = reach.at(k);
    furthest = Reach::kNone;
    if (k < -height || k > width) return;
    if (edits == 0) {
      furthest = 0;
    } else {
      const Place from_left = reach.at(k - 1);
      const Place from_above = reach.at(k + 1);
      if (from_left != Reach::kNone && from_left < width) furthest = from_left + 1;
      if (from_above != Reach::kNone && from_above - k <= height) {
        furthest = std::max(furthest, from_above);
      }
    }
    if (furthest == Reach::kNone) return;
    while (furthest < width && furthest - k < height && same(furthest, furthest - k)) ++furthest;
  }

  // A point on a shortest path through the box, neither of its corners: where a path from the one
  // meets one from the other. Where that takes too long, the point that was reached furthest.
  Point split(const Box& box) {
    const Place width = box.right - box.left;
    const Place height = box.bottom - box.top;
    const Place delta = width - height;
    const bool is_odd = delta % 2 != 0;
    const auto same = [&](Place x, Place y) { return is_same(box.left + x, box.top + y); };
    const auto same_from_end = [&](Place x, Place y) {
      return is_same(box.right - 1 - x, box.bottom - 1 - y);
    };
    for (Place edits = 0; edits <= kEffortMax; ++edits) {
      for (Reach* reach : {&forward_, &backward_}) {
        for (const Place side : {-edits - 1, edits + 1}) {
          if (std::abs(side) <= width + height) reach->at(side) = Reach::kNone;
        }
      }
      const Place most = std::min(edits, width + height);
      for (Place k = -most; k <= most; k += 2) {
        extend(forward_, edits, k, box, same);
        const Place opposite = delta - k;
        if (!is_odd || std::abs(opposite) > edits - 1 || !meets(k, opposite, width)) continue;
        const Place x = width - backward_.at(opposite);
        return {box.left + x, box.top + x - k};
      }
      for (Place k = -most; k <= most; k += 2) {
        extend(backward_, edits, k, box, same_from_end);
        const Place opposite = delta - k;
        if (is_odd || std::abs(opposite) > edits || !meets(opposite, k, width)) continue;
        const Place x = forward_.at(opposite);
        return {box.left + x, box.top + x - opposite};
      }
    }
    return furthest(box);
  }

  bool meets(Place forward, Place backward, Place width) {
    const Place there = forward_.at(forward);
    const Place back = backward_.at(backward);
    return there != Reach::kNone && back != Reach::kNone && there + back >= width;
  }

  Point furthest(const Box& box) {
    Point best{box.left, box.top};
    const Place most = std::min(kEffortMax, box.right - box.left + box.bottom - box.top);
    for (Place k = -most; k <= most; k += 2) {
      const Place x = forward_.at(k);
      if (x == Reach::kNone) continue;
      const Point point{box.left + x, box.top + x - k};
      if (point.x + point.y > best.x + best.y) best = point;
    }
    CELLAR_CHECK(best.x + best.y > box.left + box.top);  // Each part is smaller than the box.
    return best;
  }

  const Side& before_;
  const Side& after_;
  Edits& edits_;
  Reach forward_;
  Reach backward_;
};

}  // namespace

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::size_t size = end == text.npos ? text.size() : end + 1;
    lines.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

Edits compare(const std::vector<std::string_view>& before,
              const std::vector<std::string_view>& after) {
  struct Known {
    std::size_t number = 0;
    bool is_before = false;
    bool is_after = false;
  };
  std::map<std::string_view, Known> known;
  for (const std::string_view line : before) known[line].is_before = true;
  for (const std::string_view line : after) known[line].is_after = true;
  std::size_t next = 0;
  for (auto& [line, entry] : known) entry.number = ++next;
  Edits edits{std::vector<bool>(before.size()), std::vector<bool>(after.size())};
  // What is in one text only is edited in any case: the search need not look at it.
  const auto side_of = [&](const std::vector<std::string_view>& lines, std::vector<bool>& edited) {
    Side side;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const Known& line = known.at(lines[i]);
      edited[i] = !line.is_before || !line.is_after;
      if (edited[i]) continue;
      side.numbers.push_back(line.number);
      side.places.push_back(i);
    }
    return side;
  };
  const Side first = side_of(before, edits.removed);
  const Side second = side_of(after, edits.added);
  Comparison(first, second, edits).run();
  return edits;
}

}  // namespace cellar::diff
