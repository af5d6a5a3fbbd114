#include "sandbox/plan.h"

namespace cellar::sandbox {
namespace {

using Plan = std::vector<Step>;

constexpr std::uint64_t kData = kNoSuid | kNoDev;  // files that programs may be started from

// Kernel state that tells about the host, or about other cells.
constexpr const char* kMasked[] = {
    "/proc/kcore",      "/proc/keys",          "/proc/key-users", "/proc/kallsyms",
    "/proc/timer_list", "/proc/sched_debug",   "/proc/kmsg",      "/proc/latency_stats",
    "/proc/modules",    "/proc/sysrq-trigger", "/proc/cmdline",   "/proc/config.gz",
    "/proc/acpi",       "/proc/scsi",          "/proc/asound",    "/proc/driver",
    "/proc/interrupts", "/proc/iomem",         "/proc/ioports",   "/proc/vmallocinfo",
    "/proc/slabinfo"};
constexpr const char* kReadOnlyProc[] = {"/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs"};
// Of a domain. All domains take theirs from the machine's kernel.pty.max, which is 4096.
constexpr int kTerminalsMax = 256;
constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};

std::string owned_by(std::uint32_t id) {
  return "uid=" + std::to_string(id) + ",gid=" + std::to_string(id);
}

// Takes hold of files for a domain, in its ids.
void open_source_for(Plan& plan, const DomainSpec& spec, const std::string& name,
                     const std::string& path, std::uint64_t more) {
  // Nobody but root can translate ids: a user's files are on disk as the domain sees them.
  const Owners owners = spec.rights == Rights::root ? Owners::domain : Owners::host;
  plan.push_back(OpenSource{name, path, owners, kData | more});
}

void open_agent_data(Plan& plan, const DomainSpec& spec) {
  open_source_for(plan, spec, "data", spec.cell_dir + "/data", kNoExec | kReadOnly);
}

void open_work(Plan& plan, const DomainSpec& spec) {
  open_source_for(plan, spec, "work", spec.cell_dir + "/work", 0);
}

void open_sources(Plan& plan, const DomainSpec& spec, const Image& image) {
  const bool is_whole = spec.part == Part::whole;
  const auto open = [&](const std::string& name, const std::string& path, std::uint64_t more) {
    open_source_for(plan, spec, name, path, more);
  };
  open("image", image.root, kReadOnly);
  if (!image.usr.empty()) open("usr", image.usr, kReadOnly);
  if (spec.kind == DomainKind::shell) {
    if (!image.packages.empty()) open("packages", image.packages, kReadOnly);
    open("layers", spec.cell_dir + "/root/layers", 0);
    open("home", spec.cell_dir + "/root/home", 0);
  } else {
    open("agent-image", image.agent, kReadOnly);
    if (is_whole) open_agent_data(plan, spec);
  }
  if (is_whole) open_work(plan, spec);
  for (const ReadOnlyBind& bind : spec.binds) open(bind.path, bind.host_path, kReadOnly);
}

// A layer of the cell's own over a part of the dev image that is the host's.
void overlay_part(Plan& plan, const std::string& path, const std::string& source,
                  const std::string& layer, Notes notes) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    plan.push_back(MakeFolder{path.substr(0, slash)});
  }
  plan.push_back(MakeFolder{path});
  plan.push_back(Overlay{path, {source}, "layers", layer, notes});
}

// The shell domain may change all of its root and keeps it; the agent domain nothing.
void build_root(Plan& plan, const DomainSpec& spec, const Image& image) {
  const Notes notes = spec.rights == Rights::root ? Notes::trusted : Notes::user;
  if (spec.kind == DomainKind::shell) {
    plan.push_back(Overlay{"/", {"image"}, "layers", "root", notes});
    if (!image.usr.empty()) overlay_part(plan, "/usr", "usr", "usr", notes);
    if (!image.packages.empty()) overlay_part(plan, "/var/lib/dpkg", "packages", "dpkg", notes);
    for (const char* folder : {"/root", "/work", "/proc", "/dev", "/tmp", "/run"}) {
      plan.push_back(MakeFolder{folder});
    }
    plan.push_back(MountSource{"home", "/root"});
  } else {
    plan.push_back(Overlay{"/", {"agent-image", "image"}, "", "", notes});
    if (!image.usr.empty()) plan.push_back(MountSource{"usr", "/usr"});
    if (spec.part == Part::whole) plan.push_back(MountSource{"data", "/data"});
  }
  if (spec.part == Part::whole) plan.push_back(MountSource{"work", "/work"});
}

void open_devices(Plan& plan) {
  for (const char* device : kDevices) {
    plan.push_back(OpenSource{std::string("dev-") + device, std::string("/dev/") + device,
                              Owners::host, kNoSuid | kNoExec});
  }
}

void build_proc(Plan& plan) {
  plan.push_back(MakeFolder{"/proc"});
  plan.push_back(MountNew{"proc", "", "/proc", kNoSuid | kNoDev | kNoExec});
  for (const char* path : kMasked) plan.push_back(Mask{path});
  for (const char* path : kReadOnlyProc) plan.push_back(MakeReadOnly{path});
}

void build_dev(Plan& plan) {
  plan.push_back(MakeFolder{"/dev"});
  plan.push_back(MountNew{"tmpfs", "size=64k,mode=0755", "/dev", kNoSuid | kNoExec});
  for (const char* device : kDevices) {
    const std::string path = std::string("/dev/") + device;
    plan.push_back(MakeFile{path});
    plan.push_back(MountSource{std::string("dev-") + device, path});
  }
  plan.push_back(MakeFolder{"/dev/pts"});
  plan.push_back(MakeFolder{"/dev/shm"});
  plan.push_back(MakeLink{"/dev/ptmx", "pts/ptmx"});
  plan.push_back(MakeLink{"/dev/fd", "/proc/self/fd"});
  plan.push_back(MakeLink{"/dev/stdin", "/proc/self/fd/0"});
  plan.push_back(MakeLink{"/dev/stdout", "/proc/self/fd/1"});
  plan.push_back(MakeLink{"/dev/stderr", "/proc/self/fd/2"});
}

std::string scratch_options(const DomainSpec& spec) {
  return "size=" + std::to_string(spec.tmp_bytes) + ",mode=1777," + owned_by(spec.uid_base);
}

void mount_shared_memory(Plan& plan, const DomainSpec& spec) {
  plan.push_back(MountNew{"tmpfs", scratch_options(spec), "/dev/shm", kNoSuid | kNoDev | kNoExec});
}

// What belongs to the domain's root has its ids, which a blank does not know yet.
void finish_dev(Plan& plan, const DomainSpec& spec) {
  plan.push_back(Take{"/dev"});
  plan.push_back(Own{"/dev"});
  plan.push_back(MountNew{"devpts",
                          "mode=0620,ptmxmode=0666,uid=" + std::to_string(spec.uid_base) +
                              ",gid=" + std::to_string(spec.uid_base + 5) +
                              ",max=" + std::to_string(kTerminalsMax),
                          "/dev/pts", kNoSuid | kNoExec});
  if (spec.part == Part::whole) mount_shared_memory(plan, spec);
  plan.push_back(MakeReadOnly{"/dev"});
}

void mount_scratch(Plan& plan, const DomainSpec& spec) {
  for (const char* folder : {"/tmp", "/run"}) {
    plan.push_back(MountNew{"tmpfs", scratch_options(spec), folder, kNoSuid | kNoDev});
  }
}

// ---- describe ----

std::string attributes_of(std::uint64_t attributes) {
  std::string text = (attributes & kReadOnly) != 0 ? "ro" : "rw";
  if ((attributes & kNoSuid) != 0) text += ",nosuid";
  if ((attributes & kNoDev) != 0) text += ",nodev";
  if ((attributes & kNoExec) != 0) text += ",noexec";
  return text;
}

struct Describe {
  std::string operator()(const JoinGroup& s) { return "join-group " + s.folder; }
  std::string operator()(const NewCgroupNamespace&) { return "new-cgroup-namespace"; }
  std::string operator()(const SetHostName& s) { return "host-name " + s.name; }
  std::string operator()(const MakeEveryAddressLocal&) { return "every-address-local"; }
  std::string operator()(const OpenSource& s) {
    return "open " + s.name + " = " + s.host_path + " " + attributes_of(s.attributes) +
           (s.owners == Owners::domain ? " idmapped" : "");
  }
  std::string operator()(const ScratchRoot&) { return "scratch-root"; }
  std::string operator()(const Take& s) { return "take " + s.path; }
  std::string operator()(const Own& s) { return "own " + s.path; }
  std::string operator()(const Overlay& s) {
    std::string text = "overlay " + s.path + " =";
    for (const std::string& lower : s.lower) text += " " + lower;
    text += s.upper.empty() ? " ro" : " + " + s.upper + "/" + s.layer;
    return text + (s.notes == Notes::user ? " userxattr" : "");
  }
  std::string operator()(const Stage& s) { return "stage " + s.source; }
  std::string operator()(const MountSource& s) { return "mount " + s.path + " = " + s.source; }
  std::string operator()(const MountNew& s) {
    return s.type + " " + s.path + " " + (s.options.empty() ? "" : s.options + " ") +
           attributes_of(s.attributes);
  }
  std::string operator()(const MakeFile& s) { return "file " + s.path; }
  std::string operator()(const MakeFolder& s) { return "folder " + s.path; }
  std::string operator()(const MakeLink& s) { return "link " + s.path + " -> " + s.target; }
  std::string operator()(const Mask& s) { return "mask " + s.path; }
  std::string operator()(const MakeReadOnly& s) { return "read-only " + s.path; }
  std::string operator()(const PivotRoot&) { return "pivot-root"; }
  std::string operator()(const LimitProcesses& s) {
    return "limit-processes " + std::to_string(s.count);
  }
  std::string operator()(const DieFirst&) { return "die-first"; }
};

}  // namespace

std::vector<Step> plan_groups(const DomainGroups& groups) {
  Plan plan;
  for (const std::string& folder : groups.join) plan.push_back(JoinGroup{folder});
  const bool has_groups = !groups.own.empty();
  if (has_groups) plan.push_back(JoinGroup{groups.own});
  plan.push_back(NewCgroupNamespace{});
  if (has_groups) plan.push_back(JoinGroup{groups.own + "/init"});
  plan.push_back(MakeEveryAddressLocal{});
  return plan;
}

std::vector<Step> plan_blank(const DomainGroups& groups) {
  Plan plan = plan_groups(groups);
  open_devices(plan);
  plan.push_back(ScratchRoot{});
  build_proc(plan);
  build_dev(plan);
  plan.push_back(PivotRoot{});
  return plan;
}

std::vector<Step> plan_for(const DomainSpec& spec, const Image& image) {
  Plan plan;
  plan.push_back(SetHostName{spec.cell_id});
  open_sources(plan, spec, image);
  build_root(plan, spec, image);
  for (const ReadOnlyBind& bind : spec.binds) {
    plan.push_back(MountSource{bind.path, bind.path});
  }
  if (spec.runtime == Runtime::gvisor) return plan;
  plan.push_back(Take{"/proc"});
  finish_dev(plan, spec);
  if (spec.part == Part::whole) mount_scratch(plan, spec);
  plan.push_back(PivotRoot{});
  if (spec.rights == Rights::user) {
    plan.push_back(LimitProcesses{spec.pids_max});
    plan.push_back(DieFirst{});
  }
  return plan;
}

std::vector<Step> plan_personal(const DomainSpec& spec) {
  Plan plan;
  plan.push_back(SetHostName{spec.cell_id});
  open_agent_data(plan, spec);
  open_work(plan, spec);
  plan.push_back(MountSource{"data", "/data"});
  plan.push_back(MountSource{"work", "/work"});
  mount_shared_memory(plan, spec);
  mount_scratch(plan, spec);
  return plan;
}

std::string describe(const std::vector<Step>& plan) {
  std::string text;
  for (const Step& step : plan) text += std::visit(Describe(), step) + "\n";
  return text;
}

}  // namespace cellar::sandbox
