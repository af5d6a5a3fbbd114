#include "spawn/perform.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/text.h"
#include "sys/beneath.h"
#include "sys/file.h"
#include "sys/mounts.h"
#include "sys/namespace.h"
#include "sys/network_namespace.h"
#include "sys/node.h"

namespace cellar::spawn {
namespace {

// A small filesystem of this process's own, over a folder that every machine has: what an overlay
// is made of must have a path.
constexpr const char* kStage = "/tmp";
constexpr const char* kStagedRoot = "/tmp/new-root";

sys::MountOptions parse_options(const std::string& text) {
  sys::MountOptions options;
  for (const std::string_view option : split(text, ',')) {
    if (option.empty()) continue;
    const std::size_t equal = option.find('=');
    const bool is_flag = equal == std::string_view::npos;
    options.emplace_back(option.substr(0, equal), is_flag ? "" : option.substr(equal + 1));
  }
  return options;
}

}  // namespace

void Performer::perform(const std::vector<sandbox::Step>& plan) {
  sys::make_mounts_private();
  for (const sandbox::Step& step : plan) {
    std::visit([this](const auto& what) { act(what); }, step);
  }
}

// ---- what is not a mount ----

void Performer::act(const sandbox::JoinGroup& step) {
  const std::string path = step.folder + "/cgroup.procs";
  const sys::Fd file = sys::open_file(path, O_WRONLY);
  sys::write_all(file.get(), "0", path);
}

void Performer::act(const sandbox::NewCgroupNamespace&) { sys::enter_new_cgroup_namespace(); }

void Performer::act(const sandbox::SetHostName& step) { sys::set_host_name(step.name); }

void Performer::act(const sandbox::MakeEveryAddressLocal&) { sys::make_every_address_local(); }

// ---- sources and the root ----

void Performer::act(const sandbox::OpenSource& step) {
  sys::Fd tree = sys::clone_tree(step.host_path);
  const bool translates = step.owners == sandbox::Owners::domain;
  sys::set_mount(tree.get(), step.attributes, translates ? user_namespace_ : -1);
  sources_[step.name] = std::move(tree);
}

void Performer::act(const sandbox::Overlay& step) {
  std::string lower;
  for (const std::string& source : step.lower) lower += (lower.empty() ? "" : ":") + staged(source);
  sys::MountOptions options = {{"lowerdir", lower}};
  if (!step.upper.empty()) {
    const std::string layer = staged(step.upper) + "/" + step.layer;
    options.emplace_back("upperdir", layer + "/upper");
    options.emplace_back("workdir", layer + "/work");
  }
  sys::Fd overlay;
  {
    const sys::FileOwner as_owner(uid_base_);
    overlay = sys::make_mount("overlay", options, sys::kNoSuid | sys::kNoDev);
  }
  if (step.path == "/") {
    set_root(overlay.get());
  } else {
    sys::attach_mount(overlay.get(), target_of(step.path).get());
  }
}

void Performer::require_stage() {
  if (has_stage_) return;
  const sys::Fd stage = sys::make_mount("tmpfs", {{"size", "64k"}, {"mode", "0700"}}, 0);
  sys::attach_mount(stage.get(), sys::open_file(kStage, O_PATH | O_DIRECTORY).get());
  has_stage_ = true;
}

// Gives a source a path.
std::string Performer::staged(const std::string& source) {
  require_stage();
  const std::string path = std::string(kStage) + "/" + source;
  if (!sys::exists(path)) {
    sys::make_dirs(path);
    const sys::Fd target = sys::open_file(path, O_PATH | O_DIRECTORY);
    sys::attach_mount(sources_.at(source).get(), target.get());
  }
  return path;
}

void Performer::set_root(int mount) {
  require_stage();
  sys::make_dirs(kStagedRoot);
  sys::attach_mount(mount, sys::open_file(kStagedRoot, O_PATH | O_DIRECTORY).get());
  root_ = sys::open_file(kStagedRoot, O_PATH | O_DIRECTORY);
}

// ---- in the root ----

sys::Fd Performer::target_of(const std::string& path) {
  sys::Fd target = sys::open_target(root_.get(), path);
  if (!target) {
    throw Error(ErrorCode::internal, "\"" + path + "\" is missing in the image, or a link");
  }
  return target;
}

void Performer::act(const sandbox::MountSource& step) {
  sys::attach_mount(sources_.at(step.source).get(), target_of(step.path).get());
}

void Performer::act(const sandbox::MountNew& step) {
  const sys::Fd mount = sys::make_mount(step.type, parse_options(step.options), step.attributes);
  sys::attach_mount(mount.get(), target_of(step.path).get());
}

void Performer::act(const sandbox::MakeFile& step) {
  const sys::FileOwner as_owner(uid_base_);
  sys::make_file_at(parent_of(step.path).get(), sys::name_of(step.path));
}

// Where a cell's own root has something else at this place, the cell loses it: it stays usable.
void Performer::act(const sandbox::MakeFolder& step) {
  const sys::FileOwner as_owner(uid_base_);
  sys::make_folder_at(parent_of(step.path).get(), sys::name_of(step.path));
}

void Performer::act(const sandbox::MakeLink& step) {
  const sys::FileOwner as_owner(uid_base_);
  sys::make_link_at(parent_of(step.path).get(), sys::name_of(step.path), step.target);
}

sys::Fd Performer::parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return target_of(slash == 0 ? "." : path.substr(0, slash));
}

void Performer::act(const sandbox::Mask& step) {
  const sys::Fd target = sys::open_target(root_.get(), step.path);
  if (!target) return;
  const sys::Fd cover =
      sys::is_folder(target.get())
          ? sys::make_mount("tmpfs", {{"size", "4k"}, {"mode", "0555"}}, sys::kReadOnly)
          : sys::clone_tree("/dev/null");
  sys::set_mount(cover.get(), sys::kReadOnly | sys::kNoExec | sys::kNoSuid);
  sys::attach_mount(cover.get(), target.get());
}

void Performer::act(const sandbox::MakeReadOnly& step) {
  const sys::Fd target = sys::open_target(root_.get(), step.path);
  if (!target) return;
  if (sys::is_mount_root(target.get())) {
    sys::set_mount(target.get(), sys::kReadOnly);
    return;
  }
  const sys::Fd cover = sys::clone_tree(target.get());
  sys::set_mount(cover.get(), sys::kReadOnly);
  sys::attach_mount(cover.get(), target.get());
}

void Performer::act(const sandbox::PivotRoot&) {
  sys::pivot_into(root_.get());
  root_.reset();
  sources_.clear();
}

}  // namespace cellar::spawn
