#include "sandbox/perform.h"

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
#include "sys/resource_limit.h"

namespace cellar::sandbox {
namespace {

// Where a scratch root is mounted, a folder that every machine has.
constexpr const char* kScratchPlace = "/tmp";
// In the scratch root: what an overlay is made of must have a path.
constexpr const char* kStage = "/sources";
constexpr const char* kNewRoot = "/new-root";

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

sys::Fd open_source(const OpenSource& step, int user_namespace) {
  sys::Fd tree = sys::clone_tree(step.host_path);
  const bool translates = step.owners == Owners::domain;
  sys::set_mount(tree.get(), step.attributes, translates ? user_namespace : -1);
  return tree;
}

void Performer::perform(const std::vector<Step>& plan) {
  sys::make_mounts_private();
  for (const Step& step : plan) {
    std::visit([this](const auto& what) { act(what); }, step);
  }
}

void Performer::perform_in_root(const std::vector<Step>& plan) {
  root_ = sys::open_file("/", O_PATH | O_DIRECTORY);
  perform(plan);
}

// ---- what is not a mount ----

void Performer::act(const JoinGroup& step) {
  sys::write_setting(step.folder + "/cgroup.procs", "0");
}

void Performer::act(const NewCgroupNamespace&) { sys::enter_new_cgroup_namespace(); }

void Performer::act(const SetHostName& step) { sys::set_host_name(step.name); }

void Performer::act(const MakeEveryAddressLocal&) { sys::make_every_address_local(); }

// ---- sources and the root ----

void Performer::act(const OpenSource& step) {
  if (!sources_.contains(step.name)) sources_[step.name] = open_source(step, user_namespace_);
}

void Performer::act(const ScratchRoot&) {
  const sys::Fd scratch = sys::make_mount("tmpfs", {{"size", "64k"}, {"mode", "0755"}}, 0);
  sys::attach_mount(scratch.get(), sys::open_file(kScratchPlace, O_PATH | O_DIRECTORY).get());
  root_ = sys::open_file(kScratchPlace, O_PATH | O_DIRECTORY);
  scratch_ = kScratchPlace;
}

void Performer::act(const Overlay& step) {
  std::string lower;
  for (const std::string& source : step.lower) lower += (lower.empty() ? "" : ":") + staged(source);
  sys::MountOptions options = {{"lowerdir", lower}};
  if (!step.upper.empty()) {
    const std::string layer = staged(step.upper) + "/" + step.layer;
    options.emplace_back("upperdir", layer + "/upper");
    options.emplace_back("workdir", layer + "/work");
  }
  if (step.notes == Notes::user) options.emplace_back("userxattr", "");
  sys::Fd overlay;
  {
    const sys::FileOwner as_owner(uid_base_);
    overlay = sys::make_mount("overlay", options, sys::kNoSuid | sys::kNoDev);
  }
  if (step.path == "/") {
    const std::string place = scratch_ + kNewRoot;
    sys::make_dirs(place, 0755);
    sys::attach_mount(overlay.get(), sys::open_file(place, O_PATH | O_DIRECTORY).get());
    root_ = sys::open_file(place, O_PATH | O_DIRECTORY);
  } else {
    sys::attach_mount(overlay.get(), target_of(step.path).get());
  }
}

// Gives a source a path.
std::string Performer::staged(const std::string& source) {
  const std::string path = scratch_ + kStage + "/" + source;
  if (sys::exists(path)) return path;
  const sys::Fd& mount = sources_.at(source);
  sys::make_dirs(scratch_ + kStage, 0755);
  if (sys::is_folder(mount.get())) {
    sys::make_dirs(path);
  } else {
    sys::open_file(path, O_CREAT | O_WRONLY, 0644);
  }
  sys::attach_mount(mount.get(), sys::open_file(path, O_PATH).get());
  return path;
}

// ---- in the root ----

sys::Fd Performer::target_of(const std::string& path) {
  sys::Fd target = sys::open_target(root_.get(), path);
  if (!target) {
    throw Error(ErrorCode::internal, "\"" + path + "\" is missing in the image, or a link");
  }
  return target;
}

void Performer::act(const Stage& step) { staged(step.source); }

void Performer::act(const MountSource& step) {
  sys::attach_mount(sources_.at(step.source).get(), target_of(step.path).get());
}

void Performer::act(const MountNew& step) {
  const sys::Fd mount = sys::make_mount(step.type, parse_options(step.options), step.attributes);
  sys::attach_mount(mount.get(), target_of(step.path).get());
}

void Performer::act(const Take& step) {
  sys::attach_mount(sys::open_file(step.path, O_PATH | O_DIRECTORY).get(),
                    target_of(step.path).get());
}

void Performer::act(const Own& step) { sys::give_place_to(target_of(step.path).get(), uid_base_); }

void Performer::act(const MakeFile& step) {
  const sys::FileOwner as_owner(uid_base_);
  sys::make_file_at(parent_of(step.path).get(), sys::name_of(step.path));
}

// Where a cell's own root has something else at this place, the cell loses it: it stays usable.
void Performer::act(const MakeFolder& step) {
  const sys::Fd parent = parent_of(step.path);
  const std::string name = sys::name_of(step.path);
  if (sys::has_folder_at(parent.get(), name)) return;
  const sys::FileOwner as_owner(uid_base_);
  sys::make_folder_at(parent.get(), name);
}

void Performer::act(const MakeLink& step) {
  const sys::FileOwner as_owner(uid_base_);
  sys::make_link_at(parent_of(step.path).get(), sys::name_of(step.path), step.target);
}

sys::Fd Performer::parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return target_of(slash == 0 ? "." : path.substr(0, slash));
}

void Performer::act(const Mask& step) {
  const sys::Fd target = sys::open_target(root_.get(), step.path);
  if (!target) return;
  const sys::Fd cover =
      sys::is_folder(target.get())
          ? sys::make_mount("tmpfs", {{"size", "4k"}, {"mode", "0555"}}, sys::kReadOnly)
          : sys::clone_tree("/dev/null");
  sys::set_mount(cover.get(), sys::kReadOnly | sys::kNoExec | sys::kNoSuid);
  sys::attach_mount(cover.get(), target.get());
}

void Performer::act(const MakeReadOnly& step) {
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

void Performer::act(const PivotRoot&) {
  sys::pivot_into(root_.get());
  root_.reset();
  sources_.clear();
}

void Performer::act(const LimitProcesses& step) { sys::limit_processes(step.count); }

void Performer::act(const DieFirst&) { sys::write_setting("/proc/self/oom_score_adj", "1000"); }

}  // namespace cellar::sandbox
