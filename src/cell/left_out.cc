#include "cell/left_out.h"

#include "base/error.h"
#include "search/admission.h"
#include "sys/node.h"

namespace cellar::cell {
namespace {

constexpr std::size_t kIgnoreFileBytesMax = 1 << 20;

}  // namespace

void LeftOut::read_rules(const std::string& folder) {
  if (scope_ == WorkScope::all) return;
  const std::string path = (folder == "." ? "" : folder + "/") + std::string(kIgnoreFile);
  try {
    const auto stat = work_->stat_entry(path);
    if (!stat || stat->kind != sys::FileKind::file) return;  // As git, it follows no link.
    if (const auto text = work_->read(path, kIgnoreFileBytesMax)) rules_.add(folder, *text);
  } catch (const Error&) {  // It vanished, grew or became something else: then it is not there.
  }
}

void LeftOut::read_rules_above(const std::string& folder) {
  if (folder == ".") return;
  read_rules(".");
  for (std::size_t slash = folder.find('/'); slash != folder.npos;
       slash = folder.find('/', slash + 1)) {
    read_rules(folder.substr(0, slash));
  }
}

bool LeftOut::folder(const std::string& path) const {
  if (path == "." || scope_ == WorkScope::all) return false;
  return search::is_skipped_folder(sys::name_of(path)) ||
         rules_.ignores(path, search::PathKind::folder);
}

bool LeftOut::file(const std::string& path) const {
  return scope_ == WorkScope::searched && rules_.ignores(path, search::PathKind::file);
}

}  // namespace cellar::cell
