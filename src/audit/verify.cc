#include <fmt/format.h>

#include "audit/files.h"
#include "audit/trail.h"
#include "sys/file.h"

namespace cellar::audit {
namespace {

// Follows the chain from line to line.
class Walk {
 public:
  Walk(Head head, std::optional<Link> expected)
      : head_(std::move(head)), expected_(std::move(expected)), at_(head_.before) {}

  // False at the first problem.
  bool file(const std::string& name, Seq first, const Lines& lines) {
    if (first != at_.seq + 1) {
      return fail(
          fmt::format("{}: begins with line {}, where {} has to be: lines before it are "
                      "missing, or a file was put there",
                      name, first, at_.seq + 1));
    }
    std::size_t number = 0;
    for (const std::string_view text : lines.whole) {
      const std::string place = fmt::format("{}:{}", name, ++number);
      if (!line(place, text)) return false;
      place_ = place;
    }
    return true;
  }

  // What has to be there behind all files.
  void end() {
    if (at_.seq < head_.last.seq) {
      fail(fmt::format("the log ends with line {}, and had {}: it was cut off behind {}", at_.seq,
                       head_.last.seq, place_));
    } else if (expected_ && !has_expected_) {
      fail(fmt::format("there is no line {} with the hash that was expected", expected_->seq));
    }
  }

  const Link& at() const noexcept { return at_; }
  const std::string& problem() const noexcept { return problem_; }

 private:
  bool line(const std::string& place, std::string_view text) {
    const auto head = read_line_head(text);
    if (!head) return fail(place + ": is no line of an audit log: it was changed");
    if (head->seq != at_.seq + 1) {
      return fail(
          fmt::format("{}: is line {}, where {} has to be: lines were removed, put in or "
                      "exchanged here",
                      place, head->seq, at_.seq + 1));
    }
    if (head->prev != at_.hash) {
      return fail(fmt::format("{}: was changed: the next line has another hash of it",
                              place_.empty() ? place + " or what was before it" : place_));
    }
    at_ = link_of(head->seq, text);
    if (at_.seq == head_.last.seq && at_.hash != head_.last.hash) {
      return fail(place + ": was changed: head.json has another hash of it");
    }
    if (expected_ && at_.seq == expected_->seq) {
      if (at_.hash != expected_->hash) {
        return fail(place +
                    ": is not the line that was expected: it, or one before it, was changed");
      }
      has_expected_ = true;
    }
    return true;
  }

  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  Head head_;
  std::optional<Link> expected_;
  bool has_expected_ = false;
  Link at_;
  std::string place_;  // of the line before
  std::string problem_;
};

}  // namespace

Verdict verify(const std::string& dir, const std::optional<Link>& expected) {
  Verdict verdict;
  const std::vector<Seq> seqs = first_seqs(dir);
  const auto head = read_head(dir);
  if (!head && seqs.empty()) {
    if (expected) verdict.problem = fmt::format("the log is empty, and had line {}", expected->seq);
    return verdict;
  }
  if (!head) verdict.notes.push_back("head.json is missing: an end that was cut off is not seen");
  Walk walk(head.value_or(Head{}), expected);
  const Seq begins = walk.at().seq + 1;
  if (begins > 1) verdict.notes.push_back(fmt::format("begins with line {}: retention", begins));
  for (std::size_t at = 0; at < seqs.size(); ++at) {
    if (seqs[at] < begins) continue;  // Left over of retention.
    const std::string text = read_log_file(dir, seqs[at]);
    const Lines lines = lines_of(text);
    if (!lines.torn.empty()) {
      verdict.notes.push_back(file_of(dir, seqs[at]) + " ends within a line, as a crash leaves it");
    }
    if (!walk.file(file_of(dir, seqs[at]), seqs[at], lines)) break;
  }
  if (walk.problem().empty()) walk.end();
  verdict.first = walk.at().seq >= begins ? begins : 0;
  verdict.last = walk.at();
  verdict.problem = walk.problem();
  return verdict;
}

}  // namespace cellar::audit
