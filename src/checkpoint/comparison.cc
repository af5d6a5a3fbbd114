#include "checkpoint/comparison.h"

#include <algorithm>
#include <array>

#include "diff/patch.h"

namespace cellar::checkpoint {
namespace {

constexpr unsigned kLinkMode = 0120000;
constexpr unsigned kFileMode = 0100644;
constexpr unsigned kProgramMode = 0100755;

bool is_folder(const File& file) noexcept { return file.kind == sys::FileKind::directory; }

// Whether the folder at `place` has nothing in it.
bool is_empty(const std::vector<File>& files, std::size_t place) {
  return place + 1 == files.size() || !files[place + 1].path.starts_with(files[place].path + "/");
}

// What git keeps of it.
unsigned git_mode(const File& file) noexcept {
  if (file.kind == sys::FileKind::symlink) return kLinkMode;
  return (file.mode & 0100) != 0 ? kProgramMode : kFileMode;
}

}  // namespace

std::string_view name_of(ChangeKind kind) noexcept {
  constexpr std::array<std::string_view, 5> kNames = {"added", "deleted", "modified", "renamed",
                                                      "mode_changed"};
  return kNames[static_cast<std::size_t>(kind)];
}

Comparison::Comparison(Side before, Side after, const DiffLimits& limits, Patches patches)
    : before_(std::move(before)),
      after_(std::move(after)),
      limits_(limits),
      patches_(patches),
      end_(std::chrono::steady_clock::now() + limits.time_max) {}

bool Comparison::step() {
  if (phase_ != Phase::done && phase_ != Phase::sort && std::chrono::steady_clock::now() >= end_) {
    stop("time");
    if (phase_ == Phase::make_patches) return false;
    phase_ = Phase::sort;
  }
  switch (phase_) {
    case Phase::compare:
      compare_next();
      return true;
    case Phase::find_renames:
      while (next_change_ < found_.changes.size() &&
             found_.changes[next_change_].kind != ChangeKind::added) {
        ++next_change_;
      }
      if (next_change_ < found_.changes.size()) {
        find_rename(found_.changes[next_change_]);
      } else {
        phase_ = Phase::sort;
      }
      return true;
    case Phase::sort:
      sort();
      return true;
    case Phase::make_patches:
      if (next_change_ == found_.changes.size()) return false;
      make_patch(found_.changes[next_change_++]);
      return true;
    case Phase::done:
      return false;
  }
  return false;
}

void Comparison::stop(const char* why) {
  if (found_.truncated_by.empty()) found_.truncated_by = why;
}

void Comparison::add(ChangeKind kind, std::optional<File> before, std::optional<File> after) {
  const bool is_gone_file = kind == ChangeKind::deleted && before->kind == sys::FileKind::file &&
                            before->size_bytes > 0 && !before->digest.empty();
  if (is_gone_file) {
    deleted_[before->digest].push_back(found_.changes.size());
    ++deleted_sizes_[before->size_bytes];
  }
  found_.changes.push_back({.kind = kind, .before = std::move(before), .after = std::move(after)});
}

// One path of either side.
void Comparison::compare_next() {
  const bool has_before = next_before_ < before_.files.size();
  const bool has_after = next_after_ < after_.files.size();
  if (!has_before && !has_after) {
    phase_ = Phase::find_renames;
    return;
  }
  File* before = has_before ? &before_.files[next_before_] : nullptr;
  File* after = has_after ? &after_.files[next_after_] : nullptr;
  if (before != nullptr && (after == nullptr || is_before(*before, *after))) {
    const bool is_told = !is_folder(*before) || is_empty(before_.files, next_before_);
    if (is_told && !(after_.hides && after_.hides(*before))) {
      add(ChangeKind::deleted, *before, std::nullopt);
    }
    ++next_before_;
  } else if (before == nullptr || is_before(*after, *before)) {
    if (!is_folder(*after) || is_empty(after_.files, next_after_)) {
      add(ChangeKind::added, std::nullopt, *after);
    }
    ++next_after_;
  } else {
    if (needs_digest(*before, *after) && !read_digest(*after)) return;
    compare_pair(*before, *after);
    ++next_before_;
    ++next_after_;
  }
}

bool Comparison::needs_digest(const File& before, const File& after) const {
  return after_.open && after.digest.empty() && after.kind == sys::FileKind::file &&
         before.kind == after.kind && before.size_bytes == after.size_bytes &&
         !before.digest.empty() && after.size_bytes <= limits_.read_bytes_max;
}

// Reads one piece of it; false while there is more.
bool Comparison::read_digest(File& file) {
  if (!reading_) {
    auto open = after_.open(file);
    if (!open) {
      file.digest = "gone";  // It is another one by now: of no other file.
      return true;
    }
    file.size_bytes = open->stat.size_bytes;
    reading_ = std::make_unique<Reading>(std::move(*open), "");
  }
  if (reading_->step()) return false;
  file.digest = reading_->digest();
  reading_.reset();
  return true;
}

void Comparison::compare_pair(const File& before, File& after) {
  bool is_same = before.kind == after.kind && before.target == after.target;
  if (is_same && before.kind == sys::FileKind::file) {
    // Of what is too large to be read, only that is known.
    is_same = before.size_bytes == after.size_bytes &&
              (before.digest.empty() || after.digest.empty() ? before.mtime_ns == after.mtime_ns
                                                             : before.digest == after.digest);
  }
  if (!is_same) {
    add(ChangeKind::modified, before, after);
  } else if (before.mode != after.mode && before.kind != sys::FileKind::symlink) {
    add(ChangeKind::mode_changed, before, after);
  }
}

void Comparison::find_rename(Change& added) {
  File& file = *added.after;
  const bool may_be = file.kind == sys::FileKind::file &&
                      deleted_sizes_.contains(file.size_bytes) &&
                      file.size_bytes <= limits_.read_bytes_max;
  if (may_be && file.digest.empty() && after_.open && !read_digest(file)) return;
  ++next_change_;
  const auto found = deleted_.find(file.digest);
  if (!may_be || found == deleted_.end() || found->second.empty()) return;
  Change& gone = found_.changes[found->second.back()];
  found->second.pop_back();
  added.kind = ChangeKind::renamed;
  added.before = std::move(gone.before);
  gone.before.reset();
}

void Comparison::sort() {
  std::erase_if(found_.changes,
                [](const Change& change) { return !change.before && !change.after; });
  std::sort(found_.changes.begin(), found_.changes.end(),
            [](const Change& a, const Change& b) { return is_before(a.path(), b.path()); });
  for (const Change& change : found_.changes)
    ++found_.counts[static_cast<std::size_t>(change.kind)];
  if (found_.changes.size() > limits_.changes_max) {
    stop("changes");
    found_.changes.resize(limits_.changes_max);
  }
  next_change_ = 0;
  const bool goes_on = patches_ == Patches::made && found_.truncated_by != "time";
  phase_ = goes_on ? Phase::make_patches : Phase::done;
}

void Comparison::make_patch(Change& change) {
  struct Text {
    std::string bytes;
    std::optional<diff::PatchSide> side;
  };
  const auto text_of = [&](const std::optional<File>& file, const Side& side) {
    Text text;
    if (!file || is_folder(*file)) return text;
    if (file->kind == sys::FileKind::symlink) {
      text.bytes = file->target;
    } else {
      auto bytes = side.read(*file, limits_.file_bytes_max);
      change.is_too_large = change.is_too_large || !bytes;
      text.bytes = std::move(bytes).value_or("");
    }
    text.side = {.path = file->path, .mode = git_mode(*file), .text = {}};
    return text;
  };
  if (patch_bytes_ >= limits_.patch_bytes_max) {
    stop("bytes");
    return;
  }
  Text before = text_of(change.before, before_);
  Text after = text_of(change.after, after_);
  if (!before.side && !after.side) return;
  const bool is_shown =
      change.kind != ChangeKind::renamed && change.kind != ChangeKind::mode_changed;
  if (is_shown && change.is_too_large) return;
  change.is_binary = is_shown && (!diff::is_text(before.bytes) || !diff::is_text(after.bytes));
  if (change.is_binary) return;
  change.is_too_large = false;
  // Of the same bytes nothing is shown, whatever they are.
  if (before.side && is_shown) before.side->text = before.bytes;
  if (after.side && is_shown) after.side->text = after.bytes;
  change.patch = diff::patch_of(before.side, after.side);
  patch_bytes_ += change.patch->size();
  if (patch_bytes_ > limits_.patch_bytes_max) {
    stop("bytes");
    change.patch.reset();
  }
}

}  // namespace cellar::checkpoint
