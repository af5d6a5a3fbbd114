#include "base/event_stream.h"

#include "base/error.h"
#include "base/text.h"

namespace cellar {

// Lines end in LF, CR or CR LF; the two may come in different pieces.
void EventStreamParser::feed(std::string_view bytes, const OnEvent& on_event) {
  while (!bytes.empty()) {
    if (std::exchange(skip_line_feed_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    line_.append(bytes.substr(0, end));
    if (line_.size() + event_.data.size() > event_bytes_max_) {
      throw Error(ErrorCode::too_large, sender_ + " sent an event of more than " +
                                            std::to_string(event_bytes_max_) + " bytes");
    }
    if (end == bytes.npos) return;
    skip_line_feed_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(line_, {});
    take_line(line, on_event);
  }
}

void EventStreamParser::take_line(std::string_view line, const OnEvent& on_event) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (std::exchange(is_first_line_, false) && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (line.empty()) {
    last_id_ = event_.id;
    if (has_data_) {
      if (event_.type.empty()) event_.type = "message";
      on_event(event_);
    }
    has_data_ = false;
    event_.type.clear();
    std::string().swap(event_.data);
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == line.npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);

  if (field == "data") {
    if (std::exchange(has_data_, true)) event_.data += '\n';
    event_.data += value;
  } else if (field == "event") {
    event_.type = value;
  } else if (field == "id" && value.find('\0') == value.npos) {
    event_.id = value;
  } else if (field == "retry") {
    const auto pause = parse_int(value);
    if (pause && *pause >= 0) retry_ = std::chrono::milliseconds(*pause);
  } else if (line == ": end") {
    has_ended_ = true;
  }
}

}  // namespace cellar
