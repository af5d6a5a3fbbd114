#include "cell/work_find.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace cellar::cell {
namespace {

std::string prefix_of(const std::string& folder) {
  const std::string path = sys::normalize_path(folder);
  return path == "." ? "" : path + "/";
}

// The expression that matches just this text: RE2 takes what is between \Q and \E as it is.
std::string literal_expression(std::string_view text) {
  std::string out = "\\Q";
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text.substr(at, 2) == "\\E") {
      out += "\\E\\\\\\Q";
    } else {
      out += text[at];
    }
  }
  return out + "\\E";
}

std::string expression_of(const GrepRequest& request) {
  if (request.pattern.empty()) {
    throw Error(ErrorCode::invalid_argument, "invalid_regex", "\"pattern\" must not be empty");
  }
  const std::string text =
      request.is_literal ? literal_expression(request.pattern) : request.pattern;
  return request.ignores_case ? "(?i:" + text + ")" : text;
}

// The beginning of a line, at most kLineBytesMax bytes and whole characters.
std::string shown(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return std::string(line.substr(0, utf8_floor(line, Grepper::kLineBytesMax)));
}

std::size_t end_of_line(std::string_view text, std::size_t at) {
  return std::min(text.find('\n', at), text.size());
}

}  // namespace

Globber::Globber(const sys::BeneathDir& work, const GlobRequest& request)
    : request_(request), glob_(request.pattern), start_(prefix_of(request.path)) {
  const auto folder = work.stat(request.path);
  if (!folder) {
    throw Error(ErrorCode::not_found, "file_not_found",
                "no folder \"" + request.path + "\" in /work");
  }
  try {
    walk_.emplace(work, start_ + glob_.base(), request.scope);
  } catch (const Error& error) {  // Then nothing is below it.
    if (folder->kind != sys::FileKind::directory || glob_.base() == ".") throw;
    if (error.code() != ErrorCode::not_found && error.reason() != "not_a_directory") throw;
  }
}

bool Globber::step() {
  if (!walk_ || answer_.truncated) return false;
  const auto below = [this](const std::string& path) {
    return std::string_view(path).substr(start_.size());
  };
  const auto each = [&](sys::DirEntry& entry) {
    const bool is_folder = entry.stat.kind == sys::FileKind::directory;
    const auto kind = is_folder ? search::PathKind::folder : search::PathKind::file;
    if (!glob_.matches(below(entry.path), kind)) return;
    if (answer_.files.size() == request_.limit) {
      answer_.truncated = true;
    } else {
      answer_.files.push_back(std::move(entry));
    }
  };
  const auto enter = [&](const std::string& folder) {
    const auto depth_max = glob_.depth_max();
    if (!depth_max || folder == "." || folder.size() < start_.size()) return true;
    return split(below(folder), '/').size() < *depth_max;
  };
  const bool more = walk_->step(each, enter);
  answer_.truncated = answer_.truncated || walk_->is_cut() || glob_.exhausted();
  return more;
}

GlobAnswer Globber::take() {
  std::sort(answer_.files.begin(), answer_.files.end(),
            [](const sys::DirEntry& a, const sys::DirEntry& b) { return a.path < b.path; });
  return std::move(answer_);
}

Grepper::Grepper(const sys::BeneathDir& work, const GrepRequest& request,
                 std::chrono::milliseconds time_max)
    : work_(work),
      request_(request),
      regex_(expression_of(request), search::Regex::LineEnds::never),
      filter_(request.paths, {}),
      end_(std::chrono::steady_clock::now() + time_max) {
  const auto start = work.stat(request.path);
  if (!start) {
    throw Error(ErrorCode::not_found, "file_not_found",
                "no file or folder \"" + request.path + "\" in /work");
  }
  if (start->kind == sys::FileKind::file) {
    files_.push_back(sys::normalize_path(request.path));
  } else {
    walk_.emplace(work, request.path, request.scope);
  }
}

bool Grepper::step() {
  if (!answer_.truncated_by.empty()) return false;
  if (std::chrono::steady_clock::now() >= end_) {
    answer_.truncated_by = "time";
    return false;
  }
  if (!files_.empty()) {
    search_file(files_.front());
    files_.pop_front();
    return true;
  }
  const auto each = [this](sys::DirEntry& entry) {
    if (entry.stat.kind != sys::FileKind::file || !filter_.passes(entry.path, "")) return;
    files_.push_back(std::move(entry.path));
  };
  if (walk_ && walk_->step(each)) return true;
  if (walk_ && walk_->is_cut()) answer_.truncated_by = "size";
  return false;
}

void Grepper::search_file(const std::string& path) {
  std::optional<std::string> text;
  try {
    text = work_.read(path, kFileBytesMax);
  } catch (const Error& error) {  // It is something else by now, or nobody may read it.
    if (error.code() == ErrorCode::too_large) ++answer_.too_large_count;
  }
  if (!text) return;
  if (text->find('\0') != text->npos) {
    ++answer_.binary_count;
    return;
  }
  ++answer_.file_count;
  search_text(path, *text);
}

void Grepper::search_text(const std::string& path, std::string_view text) {
  std::size_t line_number = 1;
  std::size_t counted_to = 0;
  for (std::size_t from = 0; from < text.size();) {
    if (std::chrono::steady_clock::now() >= end_) {
      answer_.truncated_by = "time";
      return;
    }
    bool is_late = false;
    const auto goes_on = [&] {
      is_late = std::chrono::steady_clock::now() >= end_;
      return !is_late;
    };
    const auto match = regex_.find(text, from, goes_on);
    if (is_late) answer_.truncated_by = "time";
    // What begins behind the last line end is no line.
    if (!match || (match->begin == text.size() && text.ends_with('\n'))) return;
    const std::size_t before = match->begin == 0 ? text.npos : text.rfind('\n', match->begin - 1);
    const std::size_t line_begin = before == text.npos ? 0 : before + 1;
    line_number += static_cast<std::size_t>(
        std::count(text.begin() + static_cast<std::ptrdiff_t>(counted_to),
                   text.begin() + static_cast<std::ptrdiff_t>(line_begin), '\n'));
    counted_to = line_begin;
    if (answer_.matches.size() == request_.limit) {
      answer_.truncated_by = "limit";
      return;
    }
    add(path, text, line_begin, line_number);
    if (answer_bytes_ > kAnswerBytesMax) {
      answer_.truncated_by = "size";
      return;
    }
    from = end_of_line(text, line_begin) + 1;
  }
}

void Grepper::add(const std::string& path, std::string_view text, std::size_t line_begin,
                  std::size_t line_number) {
  GrepMatch match{.path = path, .line = line_number, .text = {}, .before = {}, .after = {}};
  const std::size_t line_end = end_of_line(text, line_begin);
  const std::string_view line = text.substr(line_begin, line_end - line_begin);
  match.text = shown(line);
  match.is_cut = line.size() > kLineBytesMax;
  std::size_t end = line_begin;  // of the line before, and its line end
  for (std::size_t i = 0; i < request_.context_count && end > 0; ++i) {
    const std::size_t before = end < 2 ? text.npos : text.rfind('\n', end - 2);
    const std::size_t begin = before == text.npos ? 0 : before + 1;
    match.before.push_back(shown(text.substr(begin, end - 1 - begin)));
    end = begin;
  }
  std::reverse(match.before.begin(), match.before.end());
  std::size_t begin = line_end + 1;
  for (std::size_t i = 0; i < request_.context_count && begin < text.size(); ++i) {
    const std::size_t next = end_of_line(text, begin);
    match.after.push_back(shown(text.substr(begin, next - begin)));
    begin = next + 1;
  }
  answer_bytes_ += path.size() + match.text.size();
  for (const auto* lines : {&match.before, &match.after}) {
    for (const std::string& one : *lines) answer_bytes_ += one.size();
  }
  answer_.matches.push_back(std::move(match));
}

}  // namespace cellar::cell
