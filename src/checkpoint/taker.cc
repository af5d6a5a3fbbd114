#include "checkpoint/taker.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/fault.h"
#include "sys/file.h"
#include "sys/positioned.h"

namespace cellar::checkpoint {
namespace {

// A mapped file may be written to without another time until its pages were written to the disk,
// which the kernel does within this.
constexpr std::chrono::seconds kSettled{60};
constexpr std::uint64_t kBlockBytes = 4096;

bool is_same_state(const sys::FileStat& a, const sys::FileStat& b) noexcept {
  return a.kind == b.kind && a.inode == b.inode && a.size_bytes == b.size_bytes &&
         a.mtime_ns == b.mtime_ns && a.ctime_ns == b.ctime_ns;
}

void set_stat(File& file, const sys::FileStat& stat) {
  file.kind = stat.kind;
  file.mode = stat.mode;
  file.size_bytes = stat.kind == sys::FileKind::file ? stat.size_bytes : 0;
  file.mtime_ns = stat.mtime_ns;
  file.ctime_ns = stat.ctime_ns;
  file.inode = stat.inode;
}

}  // namespace

File file_of(sys::DirEntry& entry) {
  File file{.path = std::move(entry.path), .target = std::move(entry.target)};
  set_stat(file, entry.stat);
  return file;
}

bool is_still(const File& known, WallTime known_at, const File& now) noexcept {
  const auto changed = std::chrono::nanoseconds(now.ctime_ns);
  return known.kind == now.kind && known.inode == now.inode && known.size_bytes == now.size_bytes &&
         known.mtime_ns == now.mtime_ns && known.ctime_ns == now.ctime_ns &&
         changed + kSettled < known_at.time_since_epoch();
}

Taker::Taker(const sys::BeneathDir& work, Store& store, const Limits& limits,
             std::optional<Earlier> earlier, std::string database)
    : work_(work),
      store_(store),
      limits_(limits),
      earlier_(std::move(earlier)),
      database_(std::move(database)),
      walk_(work.walk(".")) {}

bool Taker::step() {
  if (!is_walked_) {
    sys::TreeWalk::Visitor visitor;
    visitor.each = [this](sys::DirEntry& entry) { add(entry); };
    if (!walk_.step(visitor)) order();
    return true;
  }
  if (reading_) {
    if (reading_->step()) return true;
    if (next_ < files_.size()) {
      end_file();
    } else {
      end_database();
    }
    return true;
  }
  while (next_ < files_.size()) {
    if (begin_file()) return true;
  }
  std::erase_if(files_, [](const File& file) { return file.path.empty(); });
  next_ = files_.size();
  if (database_.empty() || !found_.database_digest.empty()) return false;
  sys::Fd copy = sys::open_file(database_, O_RDONLY);
  sys::FileStat stat{.size_bytes = sys::file_size(copy.get(), database_)};
  reading_ = std::make_unique<Reading>(sys::OpenFile{std::move(copy), stat}, "");
  return true;
}

void Taker::add(sys::DirEntry& entry) {
  if (entry.stat.kind == sys::FileKind::special) {
    ++found_.special_count;
    return;
  }
  name_bytes_ += entry.path.size() + entry.target.size();
  files_.push_back(file_of(entry));
  if (files_.size() > limits_.files_max || name_bytes_ > limits_.name_bytes_max) {
    throw Error(ErrorCode::too_large, "checkpoint_too_large",
                "/work has more than " + std::to_string(limits_.files_max) +
                    " files and folders, or " + std::to_string(limits_.name_bytes_max) +
                    " bytes of their paths",
                "remove what can be made again (build output, packages), then try again");
  }
}

void Taker::order() {
  is_walked_ = true;
  if (walk_.is_cut()) {
    throw Error(ErrorCode::too_large, "checkpoint_too_large", "/work has too many names",
                "remove what can be made again, then try again");
  }
  std::sort(files_.begin(), files_.end(),
            [](const File& a, const File& b) { return is_before(a, b); });
}

const File* Taker::earlier_of(const std::string& path) const {
  if (!earlier_) return nullptr;
  const auto& files = earlier_->files;
  const auto found = std::lower_bound(
      files.begin(), files.end(), path,
      [](const File& file, const auto& wanted) { return is_before(file.path, wanted); });
  return found != files.end() && found->path == path ? &*found : nullptr;
}

// False where the next file needs no reading.
bool Taker::begin_file() {
  File& file = files_[next_];
  if (file.kind != sys::FileKind::file) {
    ++next_;
    return false;
  }
  std::optional<sys::OpenFile> open;
  try {
    fault_point("checkpoint.before_read");
    open = work_.open_itself(file.path);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::exhausted || error.code() == ErrorCode::internal) throw;
    open.reset();  // The cell has put something else on the way, or holds a lease.
  }
  if (!open || !open->fd) {
    leave_out();
    return false;
  }
  set_stat(file, open->stat);
  const File* known = earlier_of(file.path);
  const bool is_known = known != nullptr && !known->digest.empty() &&
                        is_still(*known, earlier_->created_at, file) &&
                        store_.has_object(known->digest);
  if (!is_known && open->stat.size_bytes <= limits_.file_bytes_max) {
    if (open->stat.size_bytes > Reading::kPieceBytes) copy_ = store_.new_object();
    reading_ = std::make_unique<Reading>(std::move(*open), copy_);
    return true;
  }
  if (is_known) {
    file.digest = known->digest;
    count(file.size_bytes);
  } else {
    ++found_.too_large_count;
  }
  ++next_;
  return false;
}

// The file is gone, or something else.
void Taker::leave_out() {
  files_[next_].path.clear();  // Removed once all are looked at.
  ++found_.unsteady_count;
  reads_ = 0;
  ++next_;
}

void Taker::end_file() {
  File& file = files_[next_];
  const std::unique_ptr<Reading> reading = std::move(reading_);
  const std::string copy = std::move(copy_);
  copy_.clear();
  reads_ += 1;
  const auto now = work_.stat_entry(file.path);
  const bool is_steady = now && is_same_state(*now, reading->stat()) &&
                         reading->size_bytes() == reading->stat().size_bytes;
  if (!is_steady && reads_ < kReadsMax) {
    if (!copy.empty()) sys::remove_file(copy);
    return;  // begin_file() opens it anew.
  }
  if (!is_steady) ++found_.unsteady_count;
  reads_ = 0;
  set_stat(file, reading->stat());
  if (!is_steady) file.ctime_ns = 0;  // Never taken for the same.
  file.size_bytes = reading->size_bytes();
  file.digest = reading->digest();
  count(file.size_bytes);
  if (!store_.has_object(file.digest)) {
    keep(copy.empty() ? reading->save(store_.new_object()) : copy, file);
  } else if (!copy.empty()) {
    sys::remove_file(copy);
  }
  ++next_;
}

void Taker::end_database() {
  const std::unique_ptr<Reading> reading = std::move(reading_);
  File file{.size_bytes = reading->size_bytes(), .digest = reading->digest()};
  found_.database_digest = file.digest;
  found_.database_bytes = file.size_bytes;
  if (store_.has_object(file.digest)) {
    sys::remove_file(database_);
  } else {
    keep(database_, file);
  }
}

void Taker::count(std::uint64_t bytes) {
  found_.bytes += bytes;
  if (found_.bytes <= limits_.bytes_max) return;
  throw Error(ErrorCode::too_large, "checkpoint_too_large",
              "/work has more than " + std::to_string(limits_.bytes_max) + " bytes",
              "remove what can be made again, then try again");
}

// `path` becomes the object of the file.
void Taker::keep(const std::string& path, const File& file) {
  new_bytes_ += (file.size_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  if (store_.used_bytes() + new_bytes_ > limits_.stored_bytes_max) {
    throw Error(ErrorCode::exhausted, "checkpoint_quota",
                "the cell's checkpoints would have more than " +
                    std::to_string(limits_.stored_bytes_max) + " bytes",
                "delete some of them, or give the cell a larger tier");
  }
  store_.keep_object(path, file.digest);
}

void Taker::tell(Head& head) const {
  head.file_count =
      static_cast<std::uint64_t>(std::count_if(files_.begin(), files_.end(), [](const File& file) {
        return file.kind == sys::FileKind::file;
      }));
  head.bytes = found_.bytes;
  head.database_digest = found_.database_digest;
  head.database_bytes = found_.database_bytes;
  head.special_count = found_.special_count;
  head.too_large_count = found_.too_large_count;
  head.unsteady_count = found_.unsteady_count;
}

}  // namespace cellar::checkpoint
