#include "llm/sse.h"

#include "base/error.h"

namespace cellar::llm {

std::vector<std::string> SseReader::take(std::string_view bytes) {
  std::vector<std::string> events;
  while (!bytes.empty()) {
    if (std::exchange(skips_lf_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t size = std::min(bytes.find_first_of("\r\n"), bytes.size());
    line_.append(bytes.substr(0, size));
    if (line_.size() + (data_ ? data_->size() : 0) > kEventBytesMax) {
      throw Error(ErrorCode::too_large, "an event of the provider has more than " +
                                            std::to_string(kEventBytesMax) + " bytes");
    }
    if (size == bytes.size()) break;
    skips_lf_ = bytes[size] == '\r';
    bytes.remove_prefix(size + 1);
    end_line(events);
  }
  return events;
}

void SseReader::end_line(std::vector<std::string>& events) {
  const std::string line = std::exchange(line_, {});
  if (line.empty()) {
    if (data_) events.push_back(*std::move(data_));
    data_.reset();
    return;
  }
  if (!line.starts_with("data:")) return;  // What an event is called, its data says, too.
  std::string_view value = std::string_view(line).substr(5);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (data_) {
    data_->append("\n").append(value);
  } else {
    data_ = value;
  }
}

}  // namespace cellar::llm
