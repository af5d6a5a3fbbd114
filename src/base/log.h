#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// One line a message on standard error. Any thread.
//
//   text  2026-11-23T10:00:00.123Z info cell c1 created
//   json  {"time":"2026-11-23T10:00:00.123Z","level":"info","message":"cell c1
//   created","cell":"c1"}
namespace cellar::log {

enum class Level : std::uint8_t { debug, info, warning, error };
enum class Format : std::uint8_t { text, json };

// The lowest level that is written, and how; `info` and `text` at first.
void set_level(Level level) noexcept;
Level level() noexcept;
void set_format(Format format) noexcept;

// An argument of a message that is a member of its own in JSON. In the message it is like any
// other. Refers to the value.
struct Field {
  std::string_view name;
  std::string_view value;
};
inline Field cell(std::string_view id) { return {"cell", id}; }
inline Field run(std::string_view id) { return {"run", id}; }
inline Field request(std::string_view id) { return {"request_id", id}; }

void write(Level level, std::string_view message, std::span<const Field> fields = {});

namespace detail {

// How an argument is in the message.
template <typename T>
decltype(auto) plain(T&& arg) {
  if constexpr (std::is_same_v<std::remove_cvref_t<T>, Field>) {
    return std::string_view(arg.value);
  } else {
    return std::forward<T>(arg);
  }
}
template <typename... Args>
using FormatOf = fmt::format_string<decltype(plain(std::declval<Args>()))...>;

// Those of the arguments that are fields.
template <typename... Args>
struct Fields {
  explicit Fields(const Args&... args) { (take(args), ...); }
  template <typename T>
  void take(const T& arg) {
    if constexpr (std::is_same_v<T, Field>) list[count++] = arg;
  }
  Field list[sizeof...(Args) + 1];
  std::size_t count = 0;
};

template <typename... Values>
std::string text_of(fmt::string_view format, const Values&... values) {
  return fmt::vformat(format, fmt::make_format_args(values...));
}

template <typename... Args>
void write_all(Level level, fmt::string_view format, const Args&... args) {
  const Fields<Args...> fields(args...);
  write(level, text_of(format, plain(args)...), std::span(fields.list, fields.count));
}

}  // namespace detail

template <typename... Args>
void debug(detail::FormatOf<Args...> format, Args&&... args) {
  if (level() > Level::debug) return;
  detail::write_all(Level::debug, format, args...);
}
template <typename... Args>
void info(detail::FormatOf<Args...> format, Args&&... args) {
  if (level() > Level::info) return;
  detail::write_all(Level::info, format, args...);
}
template <typename... Args>
void warning(detail::FormatOf<Args...> format, Args&&... args) {
  detail::write_all(Level::warning, format, args...);
}
template <typename... Args>
void error(detail::FormatOf<Args...> format, Args&&... args) {
  detail::write_all(Level::error, format, args...);
}

// As write() would at this moment, with its line end; for its test.
std::string line_of(Format format, Level level, std::string_view message,
                    std::span<const Field> fields);

}  // namespace cellar::log
