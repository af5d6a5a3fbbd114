#include "cell/work_index.h"

#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "search/admission.h"
#include "sys/directory.h"
#include "sys/file.h"
#include "sys/node.h"

namespace cellar::cell {
namespace {

std::string snapshot_in(const std::string& folder) { return folder + "/snapshot"; }

search::FileMeta meta_of(const std::string& path, const sys::FileStat& stat) {
  return {.path = path,
          .size_bytes = stat.size_bytes,
          .mtime_ns = stat.mtime_ns,
          .inode = stat.inode,
          .ctime_ns = stat.ctime_ns};
}

// A file of a cell may vanish, grow or become something else at any moment: then it is not there.
std::optional<std::string> read_if_possible(const sys::BeneathDir& work, const std::string& path,
                                            std::size_t bytes_max) {
  try {
    return work.read(path, bytes_max);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<sys::FileStat> stat_if_possible(const sys::BeneathDir& work,
                                              const std::string& path) {
  try {
    return work.stat_entry(path);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

void WorkIndex::refresh() {
  const auto start = Clock::now();
  const auto half = start + options_.read_for / 2;  // Where there is much to look at, some is read.
  try_or_look_again([&] {
    if (look_) look_on(half);
    if (look_ || (watch_ && start < look_due_ && follow())) return;
    begin_look();
    look_on(half);
  });
  read_until(start + options_.read_for);
}

template <typename Work>
void WorkIndex::try_or_look_again(Work work) {
  try {
    work();
  } catch (...) {
    watch_.reset();  // Something that it told may be lost: all is looked at again.
    look_.reset();
    throw;
  }
}

sys::FolderWatch::Changes WorkIndex::take_told() {
  if (!watch_) return {};
  sys::FolderWatch::Changes changes = watch_->take();
  told_.insert(changes.files.begin(), changes.files.end());
  return changes;
}

bool WorkIndex::follow() {
  // Who comes in next depends on all that wait. Patterns that were too slow are tried again with
  // the next look only.
  const bool waits = left_out_count() > 0 && looked_at_count_ <= options_.looked_often_max;
  if (waits && !ignored_.exhausted()) return false;
  const sys::FolderWatch::Changes changes = take_told();
  if (!changes.complete) return false;
  for (const std::string& folder : changes.old_folders) {
    if (!leaves_out_folder(folder)) return false;
  }
  std::vector<std::string> changed;
  for (const std::string& path : changes.files) {
    if (sys::name_of(path) == kIgnoreFile || is_one_of_several_names(path)) return false;
    if (!leaves_out_file(path)) changed.push_back(path);
  }
  bool has_several_names = false;
  for (const std::string& folder : changes.new_folders) {
    if (folder.size() > sys::BeneathDir::kPathBytesMax || leaves_out_folder(folder)) continue;
    scan(folder, [&](const sys::DirEntry& file) {
      changed.push_back(file.path);
      has_several_names = has_several_names || file.stat.link_count > 1;
    });
  }
  // The same files may change again and again before their turn comes: a look finds each once.
  const bool has_room = changed.size() + pending_.size() <= options_.limits.files_max;
  if (!has_room || has_several_names) return false;
  // Whoever asks knows of these, and not of what waits longer.
  pending_.insert(pending_.begin(), changed.begin(), changed.end());
  told_.clear();
  return true;
}

// Of a file's other names nothing is told, and they changed as well. Where a file had several, one
// that is told may not be one of them any more.
bool WorkIndex::is_one_of_several_names(const std::string& path) const {
  const auto stat = stat_if_possible(work_, path);
  if (stat && stat->link_count > 1) return true;
  if (!had_several_names_) return false;
  const auto known = index_.find(path);
  return known && (!stat || stat->inode != known->inode);
}

void WorkIndex::begin_look() {
  ++look_count_;
  look_due_ = Clock::now() + options_.look_again_after;
  take_told();
  // They are read whatever their size and times say: a store through a mapping changes neither.
  told_ = unread();
  start_watching();
  ignored_ = rules();
  pending_.clear();
  unknown_count_ = 0;
  looked_at_count_ = 0;
  had_several_names_ = false;
  look_.emplace(Look{.walk = work_.walk("."), .kept = {}});
}

void WorkIndex::look_on(Clock::time_point end) {
  const sys::TreeWalk::Visitor all =
      sys::TreeWalk::of_files(visitor([this](const sys::DirEntry& file) { look_at(file); }));
  do {
    look_->walk.step(all);
    if (look_->walk.is_over()) end_look();
  } while (look_ && Clock::now() < end);
}

void WorkIndex::look_at(const sys::DirEntry& file) {
  ++looked_at_count_;
  const bool needed = told_.contains(file.path) || index_.needs(meta_of(file.path, file.stat));
  const bool is_read = needed && pending_.size() < options_.limits.files_max;
  if (is_read) {
    pending_.push_back(file.path);
    told_.erase(file.path);  // It waits there now: a snapshot meanwhile must not take it out.
  }
  const bool is_known = index_.find(file.path).has_value();
  if (is_read || is_known) look_->kept.insert(file.path);
  if (!is_read && (needed || !is_known)) ++unknown_count_;
}

void WorkIndex::end_look() {
  // A walk that is given up has files behind it that nobody has seen: one stands for all of them.
  if (look_->walk.is_cut()) ++unknown_count_;
  const auto is_kept = [&](const std::string& path) { return look_->kept.contains(path); };
  const std::size_t vanished_count = index_.retain(is_kept);
  told_.clear();
  look_.reset();
  look_due_ = Clock::now() + options_.look_again_after;
  // What vanished was there while the others were looked at: it took the room that they need.
  if (vanished_count > 0 && left_out_count() > 0) begin_look();
}

void WorkIndex::start_watching() {
  watch_.reset();
  if (Clock::now() < watch_due_) return;
  watch_ = sys::FolderWatch::make(options_.folders_watched_max);
  if (!watch_) watch_due_ = look_due_;
}

sys::BeneathDir::Visitor WorkIndex::visitor(Visit visit) {
  sys::BeneathDir::Visitor visitor;
  visitor.enter = [this](const std::string& folder) {
    return leaves_out_folder(folder) ? sys::Walk::skip : sys::Walk::go_on;
  };
  // Watched before it is read: what comes into it meanwhile is told, or seen, or both.
  visitor.opened = [this](int fd, const std::string& folder) {
    if (watch_ && !watch_->add(fd, folder)) {
      watch_.reset();
      watch_due_ = look_due_;
    }
    ignored_.read_rules(folder);
  };
  visitor.visit = [this, visit = std::move(visit)](const sys::DirEntry& file) {
    had_several_names_ = had_several_names_ || file.stat.link_count > 1;
    if (!leaves_out_file(file.path)) visit(file);
  };
  return visitor;
}

bool WorkIndex::leaves_out_file(const std::string& path) {
  if (!ignored_.file(path)) return false;
  if (!ignored_.exhausted()) return true;
  if (index_.find(path)) return false;
  if (look_) ++unknown_count_;  // What is told between looks may be told again and again.
  return true;
}

bool WorkIndex::leaves_out_folder(const std::string& path) const {
  if (!ignored_.folder(path)) return false;
  return !ignored_.exhausted() || search::is_skipped_folder(sys::name_of(path));
}

void WorkIndex::scan(const std::string& start, Visit visit) {
  if (!work_.for_each_file(start, visitor(std::move(visit)))) ++unknown_count_;
}

void WorkIndex::read_on(std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  try_or_look_again([&] {
    if (look_) look_on(end);
  });
  read_until(end);
}

void WorkIndex::read_until(Clock::time_point end) {
  while (!pending_.empty()) {
    take_in(pending_.front());
    pending_.pop_front();
    if (Clock::now() >= end) break;
  }
  if (!index_.uses_snapshot()) snapshot_ = sys::FileImage();
}

std::optional<double> WorkIndex::indexing() const {
  if (is_complete()) return std::nullopt;
  const auto known = static_cast<double>(index_.known_count());
  const std::size_t folder_count = look_ ? look_->walk.folders_left() : 0;
  return known / (known + static_cast<double>(pending_.size() + folder_count));
}

void WorkIndex::take_in(const std::string& path) {
  fault_point("index.before_read");
  const auto stat = stat_if_possible(work_, path);
  if (!stat || stat->kind != sys::FileKind::file) return index_.remove(path);
  const search::FileMeta meta = meta_of(path, *stat);
  if (!index_.find(path) && !index_.needs(meta)) {
    ++unknown_count_;
  } else if (meta.size_bytes > search::kFileBytesMax) {
    index_.put_skipped(meta, search::Admission::too_large);
  } else if (const auto text = read_if_possible(work_, path, search::kFileBytesMax)) {
    index_.put(meta, *text);
  }
}

WorkIndex::Answer WorkIndex::query(std::string_view text, const search::QueryOptions& options) {
  refresh();
  if (options.mode == search::Mode::regex) {
    search::RegexHits found = index_.query_regex(text, options);
    return {std::move(found.hits), left_out_count(), indexing(), found.out_of_time};
  }
  return {index_.query(text, options), left_out_count(), indexing()};
}

WorkIndex::SymbolAnswer WorkIndex::symbols(std::string_view name, std::size_t limit) {
  refresh();
  return {index_.symbols(name, limit), indexing()};
}

WorkIndex::Status WorkIndex::status() {
  refresh();
  return {index_.stats(), left_out_count(), watch_.has_value(), indexing()};
}

std::set<std::string> WorkIndex::unread() const {
  std::set<std::string> paths(told_.begin(), told_.end());
  paths.insert(pending_.begin(), pending_.end());
  return paths;
}

void WorkIndex::stop_watching() {
  take_told();
  watch_.reset();
  look_.reset();
}

void WorkIndex::load(const std::string& folder) {
  const std::string path = snapshot_in(folder);
  try {
    sys::make_dirs(folder);
    for (const std::string& name : sys::files_in(folder)) {  // What a crash left half-written.
      if (folder + "/" + name != path) sys::remove_file(folder + "/" + name);
    }
    auto image = sys::FileImage::read(path, kSnapshotBytesMax);
    if (!image) return;
    index_ = search::Index::from_snapshot(image->bytes(), options_.limits);
    snapshot_ = std::move(*image);
  } catch (const Error& error) {  // It costs only time.
    log::warning("{}: {}", path, error.what());
  }
}

std::optional<sys::NewFile> WorkIndex::write_snapshot(const std::string& folder) {
  // Who finds the snapshot compares sizes and times, which need not differ.
  for (const std::string& path : unread()) index_.remove(path);
  if (index_.change_count() == saved_change_count_) return std::nullopt;
  save_due_ = Clock::now() + options_.save_again_after;
  sys::make_dirs(folder);
  sys::NewFile file(snapshot_in(folder));
  index_.save([&](std::string_view piece) { file.write(piece); });
  saved_change_count_ = index_.change_count();
  return file;
}

void WorkIndex::put_document(std::string_view name, std::string_view text) {
  index_.put_document(name, text);
}

void WorkIndex::remove_document(std::string_view name) { index_.remove_document(name); }

}  // namespace cellar::cell
