#include "audit/files.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "json/json.h"
#include "json/reader.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/positioned.h"

namespace cellar::audit {
namespace {

constexpr std::string_view kEnding = ".jsonl";
constexpr std::size_t kDigits = 20;
constexpr std::size_t kLogFileBytesMax = 256 << 20;

Link read_link(const json::Reader& reader, std::string_view seq, std::string_view hash) {
  return {static_cast<Seq>(reader.required_int(seq, 0, INT64_MAX)), reader.required_string(hash)};
}

}  // namespace

std::string file_of(const std::string& dir, Seq first) {
  return fmt::format("{}/{:020}{}", dir, first, kEnding);
}

std::vector<Seq> first_seqs(const std::string& dir) {
  std::vector<Seq> seqs;
  for (const std::string& name : sys::files_in(dir)) {
    if (name.size() != kDigits + kEnding.size() || !name.ends_with(kEnding)) continue;
    const auto seq = parse_int(std::string_view(name).substr(0, kDigits));
    if (seq) seqs.push_back(static_cast<Seq>(*seq));
  }
  std::sort(seqs.begin(), seqs.end());
  return seqs;
}

std::string read_log_file(const std::string& dir, Seq first) {
  return sys::read_file(file_of(dir, first), kLogFileBytesMax).value_or("");
}

std::uint64_t size_of_log_file(const std::string& dir, Seq first) {
  const auto file = sys::open_file_if_exists(file_of(dir, first), O_RDONLY);
  return file ? sys::file_size(file->get(), file_of(dir, first)) : 0;
}

std::optional<Head> read_head(const std::string& dir) {
  const auto text = sys::read_file(dir + "/head.json");
  if (!text) return std::nullopt;
  try {
    const json::Value value = json::parse(*text);
    const json::Reader reader(value, "head.json");
    return Head{read_link(reader, "before_seq", "before_hash"),
                read_link(reader, "last_seq", "last_hash")};
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt, "audit_head_corrupt", dir + "/head.json: " + error.what());
  }
}

std::string encode_head(const Head& head) {
  return json::dump(json::object({{"before_seq", static_cast<std::int64_t>(head.before.seq)},
                                  {"before_hash", head.before.hash},
                                  {"last_seq", static_cast<std::int64_t>(head.last.seq)},
                                  {"last_hash", head.last.hash}})) +
         "\n";
}

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) break;
    lines.whole.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  lines.torn = text;
  return lines;
}

}  // namespace cellar::audit
