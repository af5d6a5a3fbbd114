#include "checkpoint/record.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "json/json.h"
#include "json/reader.h"

namespace cellar::checkpoint {
namespace {

constexpr std::string_view kMagic = "CELLCKP1";

[[noreturn]] void throw_damaged(const std::string& what) {
  throw Error(ErrorCode::corrupt, "checkpoint_damaged", "a checkpoint is damaged: " + what,
              "delete it; what others hold is not touched by that");
}

// Reads what put_le() and put_text() wrote.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T number() {
    return get_le<T>(take(sizeof(T)), 0);
  }
  std::string text(std::size_t size) { return std::string(take(size)); }
  bool empty() const noexcept { return bytes_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    if (bytes_.size() < size) throw_damaged("its list of files ends early");
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  std::string_view bytes_;
};

void put_text(std::string& out, const std::string& text) {
  put_le(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

}  // namespace

bool is_before(std::string_view path, std::string_view other) noexcept {
  const auto [a, b] = std::mismatch(path.begin(), path.end(), other.begin(), other.end());
  if (b == other.end()) return false;
  if (a == path.end()) return true;
  if (*a == '/' || *b == '/') return *a == '/';
  return static_cast<unsigned char>(*a) < static_cast<unsigned char>(*b);
}

std::string encode(const std::vector<File>& files) {
  std::string out(kMagic);
  for (const File& file : files) {
    out += static_cast<char>(file.kind);
    put_le(out, static_cast<std::uint16_t>(file.mode));
    put_le(out, file.size_bytes);
    put_le(out, static_cast<std::uint64_t>(file.mtime_ns));
    put_le(out, static_cast<std::uint64_t>(file.ctime_ns));
    put_le(out, file.inode);
    out += static_cast<char>(file.digest.size());
    out += file.digest;
    put_text(out, file.path);
    put_text(out, file.target);
  }
  put_le(out, crc32c(0, out));
  return out;
}

std::vector<File> decode_files(std::string_view bytes) {
  constexpr std::size_t kSumBytes = 4;
  if (bytes.size() < kMagic.size() + kSumBytes || !bytes.starts_with(kMagic)) {
    throw_damaged("its list of files has another format");
  }
  const std::string_view body = bytes.substr(0, bytes.size() - kSumBytes);
  if (get_le<std::uint32_t>(bytes, body.size()) != crc32c(0, body)) {
    throw_damaged("its list of files has another sum");
  }
  std::vector<File> files;
  for (Bytes rest(body.substr(kMagic.size())); !rest.empty();) {
    File file;
    file.kind = static_cast<sys::FileKind>(rest.number<std::uint8_t>());
    file.mode = rest.number<std::uint16_t>();
    file.size_bytes = rest.number<std::uint64_t>();
    file.mtime_ns = static_cast<std::int64_t>(rest.number<std::uint64_t>());
    file.ctime_ns = static_cast<std::int64_t>(rest.number<std::uint64_t>());
    file.inode = rest.number<std::uint64_t>();
    file.digest = rest.text(rest.number<std::uint8_t>());
    file.path = rest.text(rest.number<std::uint16_t>());
    file.target = rest.text(rest.number<std::uint16_t>());
    files.push_back(std::move(file));
  }
  return files;
}

std::string encode(const Head& head) {
  return json::dump(json::object({{"id", head.id},
                                  {"name", head.name},
                                  {"message", head.message},
                                  {"created_at_ms", to_unix_ms(head.created_at)},
                                  {"event_seq", head.event_seq},
                                  {"files", head.file_count},
                                  {"bytes", head.bytes},
                                  {"database_digest", head.database_digest},
                                  {"database_bytes", head.database_bytes},
                                  {"special", head.special_count},
                                  {"too_large", head.too_large_count},
                                  {"unsteady", head.unsteady_count}}));
}

Head decode_head(const std::string& text) {
  try {
    const json::Value value = json::parse(text);
    const json::Reader reader(value, "head.json");
    const auto number = [&](std::string_view key) {
      return static_cast<std::uint64_t>(reader.required_int(key, 0, INT64_MAX));
    };
    Head head;
    head.id = reader.required_string("id");
    head.name = reader.required_string("name");
    head.message = reader.required_string("message");
    head.created_at = from_unix_ms(reader.required_int("created_at_ms", 0, INT64_MAX));
    head.event_seq = number("event_seq");
    head.file_count = number("files");
    head.bytes = number("bytes");
    head.database_digest = reader.required_string("database_digest");
    head.database_bytes = number("database_bytes");
    head.special_count = number("special");
    head.too_large_count = number("too_large");
    head.unsteady_count = number("unsteady");
    return head;
  } catch (const Error& error) {  // Of the reader: what it says is of stored bytes here.
    throw_damaged(error.what());
  }
}

}  // namespace cellar::checkpoint
