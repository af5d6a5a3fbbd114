#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace cellar {

struct StreamEvent {
  std::string id;    // the last one that the stream gave, also for an event without
  std::string type;  // "message" where the stream names none
  std::string data;  // the data lines, joined by line ends
};

// Takes server-sent events (text/event-stream, WHATWG HTML 9.2) out of bytes that come in pieces of
// any size. Comments are skipped; so is an event without data, and one that is cut off at the end.
class EventStreamParser {
 public:
  using OnEvent = std::function<void(const StreamEvent&)>;

  // `sender` is who errors speak of.
  EventStreamParser(std::string sender, std::size_t event_bytes_max)
      : sender_(std::move(sender)), event_bytes_max_(event_bytes_max) {}

  // Calls `on_event` for each event that is complete with these bytes. Throws Error `too_large`
  // for an event of more than `event_bytes_max`.
  void feed(std::string_view bytes, const OnEvent& on_event);

  // The last id that the stream gave, also one without an event; empty before the first.
  const std::string& last_id() const noexcept { return last_id_; }

  // Whether it said that this is all (the comment `: end`, which the daemon sends).
  bool has_ended() const noexcept { return has_ended_; }

  // How long to wait before a new connection, where the server said so.
  std::optional<std::chrono::milliseconds> retry() const noexcept { return retry_; }

 private:
  void take_line(std::string_view line, const OnEvent& on_event);

  std::string sender_;
  std::size_t event_bytes_max_;
  std::string line_;  // what came of the current line
  bool skip_line_feed_ = false;
  bool is_first_line_ = true;
  bool has_data_ = false;
  bool has_ended_ = false;
  StreamEvent event_;
  std::string last_id_;  // whose lines are complete
  std::optional<std::chrono::milliseconds> retry_;
};

}  // namespace cellar
