#include "base/clock.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

namespace cellar {
namespace {

constexpr int kYearMax = 2261;  // A WallTime ends in the next one.

// Reads a text from its beginning; `ok` is false from the first thing on that is not there.
struct Digits {
  std::string_view rest;
  bool ok = true;

  int take(std::size_t count) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const bool is_digit = i < rest.size() && rest[i] >= '0' && rest[i] <= '9';
      ok = ok && is_digit;
      if (is_digit) value = value * 10 + (rest[i] - '0');
    }
    rest.remove_prefix(std::min(count, rest.size()));
    return value;
  }
  // One of these characters.
  char expect(std::string_view any) {
    const char found = rest.empty() ? '\0' : rest.front();
    ok = ok && !rest.empty() && any.find(found) != std::string_view::npos;
    rest.remove_prefix(std::min<std::size_t>(1, rest.size()));
    return found;
  }
  std::int64_t take_fraction_ms() {
    if (rest.empty() || rest.front() != '.') return 0;
    rest.remove_prefix(1);
    const std::size_t count = std::min(rest.find_first_not_of("0123456789"), rest.size());
    ok = ok && count > 0;
    std::string three(rest.substr(0, std::min<std::size_t>(count, 3)));
    three.resize(3, '0');
    rest.remove_prefix(count);
    return Digits{three}.take(3);
  }
  int take_offset_minutes() {
    const char sign = expect("Zz+-");
    if (sign != '+' && sign != '-') return 0;
    const int hours = take(2);
    expect(":");
    const int minutes = take(2);
    ok = ok && hours < 24 && minutes < 60;
    return (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
  }
};

}  // namespace

WallTime wall_now() noexcept { return std::chrono::system_clock::now(); }

std::int64_t to_unix_ms(WallTime time) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallTime from_unix_ms(std::int64_t ms) noexcept { return WallTime(std::chrono::milliseconds(ms)); }

std::string to_iso8601(WallTime time) {
  const std::int64_t ms = to_unix_ms(time);
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  Digits digits{text};
  const int year_number = digits.take(4);
  digits.expect("-");
  const unsigned month_number = static_cast<unsigned>(digits.take(2));
  digits.expect("-");
  const unsigned day_number = static_cast<unsigned>(digits.take(2));
  digits.expect("Tt ");
  const int hour = digits.take(2);
  digits.expect(":");
  const int minute = digits.take(2);
  digits.expect(":");
  const int second = digits.take(2);
  const std::int64_t fraction_ms = digits.take_fraction_ms();
  const int offset = digits.take_offset_minutes();
  const std::chrono::year_month_day date{std::chrono::year(year_number),
                                         std::chrono::month(month_number),
                                         std::chrono::day(day_number)};
  const bool is_day = date.ok() && year_number >= 1970 && year_number <= kYearMax;
  const bool is_time = hour < 24 && minute < 60 && second < 61;  // 60 is a leap second.
  if (!digits.ok || !digits.rest.empty() || !is_day || !is_time) return std::nullopt;
  const std::chrono::seconds since_1970 =
      std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
      std::chrono::minutes(minute - offset) + std::chrono::seconds(second);
  if (since_1970.count() < 0) return std::nullopt;  // By its offset.
  return from_unix_ms(since_1970.count() * 1000 + fraction_ms);
}

}  // namespace cellar
