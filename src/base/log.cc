#include "base/log.h"

#include <atomic>
#include <cstdio>

#include "base/clock.h"
#include "base/text.h"

namespace cellar::log {
namespace {

std::atomic<Level> lowest{Level::info};
std::atomic<Format> chosen{Format::text};

constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = utf8_size_at(text, at);
    const char c = text[at];
    if (size == 0) {
      out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (is_control(c)) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += text.substr(at, size);
    }
    at += size == 0 ? 1 : size;
  }
  out += '"';
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += out.empty() ? '{' : ',';
  append_quoted(out, name);
  out += ':';
  append_quoted(out, value);
}

}  // namespace

void set_level(Level level) noexcept { lowest.store(level, std::memory_order_relaxed); }
Level level() noexcept { return lowest.load(std::memory_order_relaxed); }
void set_format(Format format) noexcept { chosen.store(format, std::memory_order_relaxed); }

std::string line_of(Format format, Level level, std::string_view message,
                    std::span<const Field> fields) {
  const std::string time = to_iso8601(wall_now());
  const std::string_view name = kNames[static_cast<std::size_t>(level)];
  if (format == Format::json) {
    std::string line;
    append_member(line, "time", time);
    append_member(line, "level", name);
    append_member(line, "message", message);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      bool is_there = false;  // A member is there once.
      for (std::size_t j = 0; j < i; ++j) is_there = is_there || fields[j].name == fields[i].name;
      if (!is_there) append_member(line, fields[i].name, fields[i].value);
    }
    return line + "}\n";
  }
  std::string line = fmt::format("{} {} {}\n", time, name, message);
  // What a cell's program wrote may reach a message: a control byte must not reach a terminal.
  for (std::size_t at = 0; at + 1 < line.size(); ++at) {
    if (is_control(line[at])) line[at] = ' ';
  }
  return line;
}

void write(Level level, std::string_view message, std::span<const Field> fields) {
  if (level < log::level()) return;
  const std::string line = line_of(chosen.load(std::memory_order_relaxed), level, message, fields);
  std::fwrite(line.data(), 1, line.size(), stderr);  // One call: lines of threads do not mix.
}

}  // namespace cellar::log
