#include "audit/trail.h"

#include <fcntl.h>

#include <algorithm>

#include "audit/files.h"
#include "base/error.h"
#include "base/log.h"
#include "json/json.h"
#include "sys/file.h"

namespace cellar::audit {

Trail::Trail(std::string dir, Options options) : dir_(std::move(dir)), options_(options) {
  sys::make_dirs(dir_);
  recover();
}

// Goes on behind the last whole line. Where that is less than what was durable once, lines are
// missing: the chain goes on behind those, so that the gap stays to be seen.
void Trail::recover() {
  file_.reset();
  file_bytes_ = 0;
  const Head head = read_head(dir_).value_or(Head{});
  before_ = head.before;
  last_ = head.last;
  const std::vector<Seq> seqs = first_seqs(dir_);
  if (!seqs.empty()) {
    const std::string text = read_log_file(dir_, seqs.back());
    const Lines lines = lines_of(text);
    const std::string path = file_of(dir_, seqs.back());
    if (!lines.torn.empty()) {  // A crash did it: nobody was told that it is there.
      sys::cut_file(path, text.size() - lines.torn.size());
    }
    const auto line = lines.whole.empty() ? std::nullopt : read_line_head(lines.whole.back());
    const Link found = line ? link_of(line->seq, lines.whole.back()) : last_;
    if (found.seq >= last_.seq) {
      last_ = found;
      file_ = sys::open_file(path, O_WRONLY | O_APPEND);
      file_bytes_ = text.size() - lines.torn.size();
    } else {
      log::error("audit: lines behind {} are missing: run `cellar audit verify`", found.seq);
    }
  }
  is_known_ = true;
}

void Trail::rotate() {
  file_ = sys::open_file(file_of(dir_, last_.seq + 1), O_WRONLY | O_APPEND | O_CREAT);
  file_bytes_ = 0;
  sys::sync_dir(dir_);
}

void Trail::write_head() const {
  sys::replace_file(dir_ + "/head.json", encode_head({before_, last_}));
}

void Trail::append(const std::vector<Entry>& entries) {
  if (!is_known_) recover();
  is_known_ = false;  // Until all of it has gone well.
  if (!file_ || file_bytes_ >= options_.file_bytes_max) rotate();
  std::string text;
  Link last = last_;
  for (const Entry& entry : entries) {
    const std::string line = encode_line(entry, last);
    last = link_of(last.seq + 1, line);
    text += line + "\n";
  }
  const std::string name = file_of(dir_, last_.seq + 1);
  sys::write_all(file_->get(), text, name);
  sys::sync_data(file_->get(), name);
  last_ = last;
  file_bytes_ += text.size();
  write_head();
  is_known_ = true;
}

// Whether a file that ends with this line is older than the retention.
bool Trail::is_beyond(std::string_view newest_line, WallTime now, const Limits& limits) const {
  if (limits.retention.count() == 0) return false;
  const json::Value newest = json::parse(newest_line);
  const json::Value* said = newest.find("at");
  const auto when = said != nullptr ? parse_rfc3339(said->as_string()) : std::nullopt;
  return when && *when + limits.retention <= now;
}

void Trail::trim(WallTime now, const Limits& limits) {
  if (limits.retention.count() == 0 && limits.bytes_max == 0) return;
  if (!is_known_) recover();
  const std::vector<Seq> seqs = first_seqs(dir_);
  std::uint64_t bytes = 0;
  for (const Seq seq : seqs) bytes += size_of_log_file(dir_, seq);
  for (std::size_t at = 0; at + 1 < seqs.size(); ++at) {
    const bool is_too_much = limits.bytes_max != 0 && bytes > limits.bytes_max;
    if (!is_too_much && limits.retention.count() == 0) return;
    const std::string text = read_log_file(dir_, seqs[at]);
    const Lines lines = lines_of(text);
    if (lines.whole.empty()) return;
    if (!is_too_much && !is_beyond(lines.whole.back(), now, limits)) return;
    before_ = link_of(seqs[at + 1] - 1, lines.whole.back());
    write_head();  // First: a file that is left over is passed over.
    sys::remove_file(file_of(dir_, seqs[at]));
    bytes -= text.size();
  }
}

Trail::Page Trail::read(Seq after, std::size_t limit) const {
  Page page{.lines = {}, .last = after, .more = false};
  const std::vector<Seq> seqs = first_seqs(dir_);
  const auto behind = std::upper_bound(seqs.begin(), seqs.end(), after + 1);
  auto at = behind == seqs.begin() ? behind : behind - 1;
  for (; at != seqs.end(); ++at) {
    const std::string text = read_log_file(dir_, *at);
    for (const std::string_view line : lines_of(text).whole) {
      const auto head = read_line_head(line);
      if (!head || head->seq <= after) continue;
      if (page.lines.size() == limit) {
        page.more = true;
        return page;
      }
      page.lines.emplace_back(line);
      page.last = head->seq;
    }
  }
  return page;
}

}  // namespace cellar::audit
