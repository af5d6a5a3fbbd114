#include "sys/tar.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace cellar::sys {
namespace {

// Offset and size of the fields of a header.
struct Field {
  std::size_t at;
  std::size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kOwner{108, 8};
constexpr Field kGroup{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kTime{136, 12};
constexpr Field kSum{148, 8};
constexpr Field kType{156, 1};
constexpr Field kTarget{157, 100};
constexpr Field kMagic{257, 8};
constexpr Field kPrefix{345, 155};
constexpr std::uint64_t kOctalSizeMax = 077777777777;  // 8 GiB

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::invalid_argument, "invalid_archive", "the tar archive " + what);
}

void refuse_compressed(std::string_view bytes) {
  if (bytes.starts_with("\x1f\x8b")) refuse("is compressed: unpack it with gunzip first");
}

std::string_view field_of(std::string_view block, Field field) {
  return block.substr(field.at, field.size);
}

std::string text_of(std::string_view block, Field field) {
  const std::string_view text = field_of(block, field);
  return std::string(text.substr(0, text.find('\0')));
}

// Octal digits with spaces and NULs around them; or, with the highest bit set, a number to the base
// of 256.
std::uint64_t number_of(std::string_view block, Field field) {
  const std::string_view text = field_of(block, field);
  std::uint64_t number = 0;
  if ((static_cast<unsigned char>(text[0]) & 0x80) != 0) {
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (number >> 55 != 0) refuse("holds a number that is too large");
      number = number << 8 | static_cast<unsigned char>(text[i]);
    }
    return number;
  }
  const std::size_t first = text.find_first_not_of(' ');
  for (std::size_t i = first; i < text.size() && text[i] != '\0' && text[i] != ' '; ++i) {
    if (text[i] < '0' || text[i] > '7') refuse("holds a header that is none");
    number = number << 3 | static_cast<std::uint64_t>(text[i] - '0');
  }
  return number;
}

// The sum of all bytes, those of the sum itself as spaces.
std::uint64_t sum_of(std::string_view block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool is_sum = i >= kSum.at && i < kSum.at + kSum.size;
    sum += is_sum ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

void set_text(std::string& block, Field field, std::string_view text) {
  block.replace(field.at, std::min(text.size(), field.size), text.substr(0, field.size));
}

void set_octal(std::string& block, Field field, std::uint64_t number) {
  set_text(block, field, fmt::format("{:0{}o}", number, field.size - 1));
}

char type_of(TarEntry::Kind kind) {
  switch (kind) {
    case TarEntry::Kind::file:
      return '0';
    case TarEntry::Kind::folder:
      return '5';
    case TarEntry::Kind::link:
      return '2';
    case TarEntry::Kind::name:
      return '1';
    case TarEntry::Kind::special:
      return '6';
  }
  return '0';
}

std::string block_of(const TarEntry& entry, char type) {
  std::string block(kTarBlockBytes, '\0');
  set_text(block, kName, entry.path);
  set_octal(block, kMode, entry.mode & 07777);
  set_octal(block, kOwner, 0);
  set_octal(block, kGroup, 0);
  set_octal(block, kSize, std::min(entry.size_bytes, kOctalSizeMax));
  set_octal(block, kTime, static_cast<std::uint64_t>(std::max<std::int64_t>(0, entry.mtime_s)));
  block[kType.at] = type;
  set_text(block, kTarget, entry.target);
  set_text(block, kMagic,
           std::string_view("ustar\0"
                            "00",
                            8));
  set_text(block, kSum, fmt::format("{:06o}", sum_of(block)) + std::string("\0 ", 2));
  return block;
}

// "LENGTH KEY=VALUE\n", where the length counts its own digits, too.
std::string record_of(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest;
  while (length != rest + std::to_string(length).size()) {
    length = rest + std::to_string(length).size();
  }
  return fmt::format("{} {}={}\n", length, key, value);
}

}  // namespace

std::string tar_header(const TarEntry& entry) {
  std::string records;
  if (entry.path.size() > kName.size) records += record_of("path", entry.path);
  if (entry.target.size() > kTarget.size) records += record_of("linkpath", entry.target);
  if (entry.size_bytes > kOctalSizeMax) {
    records += record_of("size", std::to_string(entry.size_bytes));
  }
  std::string out;
  if (!records.empty()) {
    TarEntry extended;
    extended.path = "pax";
    extended.size_bytes = records.size();
    out = block_of(extended, 'x') + records + tar_padding(records.size());
  }
  return out + block_of(entry, type_of(entry.kind));
}

std::string tar_padding(std::uint64_t size_bytes) {
  const std::uint64_t over = size_bytes % kTarBlockBytes;
  return std::string(over == 0 ? 0 : kTarBlockBytes - over, '\0');
}

std::string tar_end() { return std::string(2 * kTarBlockBytes, '\0'); }

void TarReader::feed(std::string_view bytes) {
  while (!bytes.empty() && in_ != In::end) {
    if (in_ == In::header) {
      const std::size_t size = std::min(bytes.size(), kTarBlockBytes - held_.size());
      held_ += bytes.substr(0, size);
      bytes.remove_prefix(size);
      if (held_.size() < kTarBlockBytes) return;
      const std::string block = std::exchange(held_, {});
      take_header(block);
      continue;
    }
    std::uint64_t& left = in_ == In::padding ? padding_bytes_ : left_bytes_;
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size()));
    if (in_ == In::file) {
      sink_.data(bytes.substr(0, size));
    } else if (in_ == In::extended || in_ == In::path || in_ == In::target) {
      held_ += bytes.substr(0, size);
    }
    bytes.remove_prefix(size);
    left -= size;
    if (left == 0) end_data();
  }
}

void TarReader::finish() const {
  if (in_ == In::end) return;
  if (in_ == In::header && held_.empty() && name_.empty()) refuse("is empty");
  refuse_compressed(held_);
  refuse(in_ == In::header ? "has no end" : "ends in the middle of '" + name_ + "'");
}

void TarReader::begin_data(In state, std::uint64_t size_bytes) {
  in_ = state;
  left_bytes_ = size_bytes;
  padding_bytes_ = tar_padding(size_bytes).size();
  if (left_bytes_ == 0) end_data();
}

// Of the bytes that belong to a header; behind them come those that fill up the block.
void TarReader::end_data() {
  if (in_ == In::file) {
    sink_.end();
  } else if (in_ == In::extended) {
    take_extended(std::exchange(held_, {}));
  } else if (in_ == In::path || in_ == In::target) {
    const std::string text = std::exchange(held_, {});
    extended_[in_ == In::path ? "path" : "linkpath"] = text.substr(0, text.find('\0'));
  }
  in_ = in_ == In::padding || padding_bytes_ == 0 ? In::header : In::padding;
}

void TarReader::take_extended(std::string_view records) {
  while (!records.empty()) {
    const std::size_t space = records.find(' ');
    const auto length = space == records.npos ? std::nullopt : parse_int(records.substr(0, space));
    if (!length || *length < static_cast<std::int64_t>(space) + 3 ||
        static_cast<std::uint64_t>(*length) > records.size() || records[*length - 1] != '\n') {
      refuse("holds an extended header that is none");
    }
    const std::string_view record = records.substr(space + 1, *length - space - 2);
    const std::size_t equal = record.find('=');
    if (equal == record.npos) refuse("holds an extended header that is none");
    const std::string key(record.substr(0, equal));
    if (key.starts_with("GNU.sparse.")) refuse("holds a sparse file, which is not taken");
    // No other is kept: an archive of nothing but such headers must not grow in memory.
    if (key == "path" || key == "linkpath" || key == "size") {
      extended_[key] = std::string(record.substr(equal + 1));
    }
    records.remove_prefix(static_cast<std::size_t>(*length));
  }
}

void TarReader::take_header(std::string_view block) {
  if (block.find_first_not_of('\0') == block.npos) {
    in_ = In::end;
    return;
  }
  refuse_compressed(block);
  if (number_of(block, kSum) != sum_of(block)) refuse("holds a header that is none");
  const char type = block[kType.at];
  const std::uint64_t size = number_of(block, kSize);
  const bool extends = type == 'x' || type == 'g' || type == 'L' || type == 'K';
  if (extends && size > kHeaderBytesMax) refuse("holds a name that is too long");
  if (type == 'x') return begin_data(In::extended, size);
  if (type == 'L') return begin_data(In::path, size);
  if (type == 'K') return begin_data(In::target, size);
  if (type == 'g') return begin_data(In::other, size);
  if (type == 'S') refuse("holds a sparse file, which is not taken");

  TarEntry entry;
  entry.path = text_of(block, kName);
  const std::string prefix = text_of(block, kPrefix);
  const bool has_prefix = field_of(block, kMagic).starts_with(std::string_view("ustar\0", 6));
  if (has_prefix && !prefix.empty()) entry.path = prefix + "/" + entry.path;
  entry.size_bytes = size;
  entry.mode = static_cast<std::uint32_t>(number_of(block, kMode) & 0777);
  entry.mtime_s = static_cast<std::int64_t>(number_of(block, kTime) & INT64_MAX);
  entry.target = text_of(block, kTarget);
  const auto extended = std::exchange(extended_, {});
  if (const auto path = extended.find("path"); path != extended.end()) entry.path = path->second;
  if (const auto link = extended.find("linkpath"); link != extended.end()) {
    entry.target = link->second;
  }
  if (const auto wide = extended.find("size"); wide != extended.end()) {
    const auto number = parse_int(wide->second);
    if (!number || *number < 0) refuse("holds a size that is none");
    entry.size_bytes = static_cast<std::uint64_t>(*number);
  }
  const bool is_file = type == '0' || type == '\0' || type == '7';
  entry.kind = is_file && entry.path.ends_with('/') ? TarEntry::Kind::folder
               : is_file                            ? TarEntry::Kind::file
               : type == '5'                        ? TarEntry::Kind::folder
               : type == '2'                        ? TarEntry::Kind::link
               : type == '1'                        ? TarEntry::Kind::name
                                                    : TarEntry::Kind::special;
  name_ = entry.path;
  sink_.begin(entry);
  // Some archives have the size of the file with each of its names, and no bytes.
  const bool has_data = entry.kind == TarEntry::Kind::file;
  const bool skips = entry.kind == TarEntry::Kind::folder || entry.kind == TarEntry::Kind::special;
  begin_data(has_data ? In::file : In::other, has_data || skips ? entry.size_bytes : 0);
}

}  // namespace cellar::sys
