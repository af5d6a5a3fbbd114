#include "sandbox/oci_bundle.h"

#include <cstdio>

namespace cellar::sandbox {
namespace {

constexpr std::uint32_t kIdsPerDomain = 65536;
constexpr std::uint64_t kOpenFilesMax = 1 << 20;
constexpr const char* kInit = "cell-init";
constexpr const char* kBundle = "bundle";
// Commands get all but the last one (init/gvisor.h says what that is for).
constexpr const char* kCapabilities[] = {
    "CAP_CHOWN",    "CAP_DAC_OVERRIDE", "CAP_FOWNER",           "CAP_FSETID",
    "CAP_KILL",     "CAP_SETGID",       "CAP_SETUID",           "CAP_SETPCAP",
    "CAP_SETFCAP",  "CAP_SYS_CHROOT",   "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE",
    "CAP_SYS_ADMIN"};

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string list(const std::vector<std::string>& items, const char* indent) {
  std::string out = "[";
  for (const std::string& item : items) {
    out += (out.size() > 1 ? ",\n" : "\n") + std::string(indent) + item;
  }
  return out + "]";
}

// Another one may change what is in it, the daemon for one: gVisor must not believe what it has
// seen before, as it does of the root.
std::string bind_mount(const std::string& path, const std::string& source, bool read_only) {
  return "{\"destination\": " + quote(path) + ", \"type\": \"bind\", \"source\": " + quote(source) +
         ", \"options\": [\"bind\", " + (read_only ? "\"ro\"" : "\"rw\"") + "]}";
}

std::string fresh(const std::string& path, const std::string& type, const std::string& options) {
  return "{\"destination\": " + quote(path) + ", \"type\": " + quote(type) +
         ", \"source\": " + quote(type) + ", \"options\": [" + options + "]}";
}

std::vector<std::string> base_mounts(std::uint64_t tmp_bytes) {
  const std::string size = quote("size=" + std::to_string(tmp_bytes)) + ", \"mode=1777\"";
  return {fresh("/proc", "proc", "\"nosuid\", \"nodev\", \"noexec\""),
          fresh("/tmp", "tmpfs", size + ", \"nosuid\", \"nodev\""),
          fresh("/dev/shm", "tmpfs", size + ", \"nosuid\", \"nodev\", \"noexec\"")};
}

struct Container {
  std::string host_name;
  std::string program;
  std::string mode;
  std::string root;
  bool read_only_root = false;
  std::uint32_t uid_base = 0;
  std::vector<std::string> mounts;
};

std::string config_of(const Container& container) {
  std::vector<std::string> names;
  for (const char* name : kCapabilities) names.push_back(quote(name));
  const std::string capabilities = list(names, "        ");
  const std::string mapping =
      "[{\"containerID\": 0, \"hostID\": " + std::to_string(container.uid_base) +
      ", \"size\": " + std::to_string(kIdsPerDomain) + "}]";
  const std::string files = std::to_string(kOpenFilesMax);
  std::vector<std::string> namespaces;
  for (const char* type : {"pid", "mount", "ipc", "uts", "user"}) {  // The network is the caller's.
    namespaces.push_back("{\"type\": " + quote(type) + "}");
  }
  return "{\n  \"ociVersion\": \"1.0.2\",\n"
         "  \"process\": {\n"
         "    \"user\": {\"uid\": 0, \"gid\": 0},\n"
         "    \"args\": [" +
         quote(container.program) + ", " + quote(container.mode) +
         "],\n"
         "    \"env\": [],\n    \"cwd\": \"/\",\n    \"noNewPrivileges\": true,\n"
         "    \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"hard\": " +
         files + ", \"soft\": " + files +
         "}],\n"
         "    \"capabilities\": {\n      \"bounding\": " +
         capabilities + ",\n      \"permitted\": " + capabilities +
         ",\n      \"effective\": " + capabilities +
         "}},\n"
         "  \"root\": {\"path\": " +
         quote(container.root) +
         ", \"readonly\": " + (container.read_only_root ? "true" : "false") +
         "},\n"
         "  \"hostname\": " +
         quote(container.host_name) + ",\n  \"mounts\": " + list(container.mounts, "    ") +
         ",\n  \"linux\": {\n    \"uidMappings\": " + mapping +
         ",\n    \"gidMappings\": " + mapping +
         ",\n    \"namespaces\": " + list(namespaces, "      ") + "}\n}\n";
}

std::vector<Step> host_sources(const BundleHost& host) {
  return {OpenSource{kInit, host.init_program, Owners::host, kNoSuid | kNoDev | kReadOnly},
          OpenSource{kBundle, host.folder, Owners::host, kNoSuid | kNoDev | kNoExec}};
}

// Opens all sources, those that runsc itself needs too, before the scratch root hides one.
std::vector<Step> in_scratch(std::vector<Step> begin, const BundleHost& host,
                             const std::vector<Step>& domain) {
  const auto add = [&begin](const std::vector<Step>& steps, bool sources) {
    for (const Step& step : steps) {
      if (std::holds_alternative<OpenSource>(step) == sources) begin.push_back(step);
    }
  };
  add(host_sources(host), true);
  add(domain, true);
  begin.push_back(ScratchRoot{});
  add(domain, false);
  begin.push_back(Stage{kBundle});
  return begin;
}

}  // namespace

OciBundle oci_bundle(const DomainSpec& spec, const Image& image, const DomainGroups& groups,
                     const BundleHost& host) {
  const std::string root = kBundleRoot;
  const bool is_shell = spec.kind == DomainKind::shell;
  OciBundle bundle;
  bundle.plan = in_scratch(plan_groups(groups), host, plan_for(spec, image));
  // On a file system that is gone with the domain: no cell can put a program of its own there.
  const std::string id = std::to_string(spec.uid_base);
  bundle.plan.push_back(MountNew{
      "tmpfs", "size=" + std::to_string(spec.tmp_bytes) + ",mode=1777,uid=" + id + ",gid=" + id,
      "/run", kNoSuid | kNoDev});
  bundle.plan.push_back(MakeFolder{"/run/cellar"});
  bundle.plan.push_back(MakeFile{kInitPath});
  bundle.plan.push_back(MountSource{kInit, kInitPath});
  Container container{spec.cell_id,
                      kInitPath,
                      "gvisor",
                      root,
                      !is_shell,
                      spec.uid_base,
                      base_mounts(spec.tmp_bytes)};
  container.mounts.push_back(bind_mount("/work", root + "/work", false));
  if (!is_shell) container.mounts.push_back(bind_mount("/data", root + "/data", true));
  bundle.config = config_of(container);
  return bundle;
}

OciBundle probe_bundle(std::uint32_t uid_base, const DomainGroups& groups, const BundleHost& host) {
  OciBundle bundle;
  bundle.plan = in_scratch(plan_groups(groups), host, {Stage{kInit}});
  constexpr std::uint64_t kTmpBytes = 1 << 20;
  bundle.config = config_of({"probe", std::string("/") + kInit, "gvisor-probe", kBundleSources,
                             true, uid_base, base_mounts(kTmpBytes)});
  return bundle;
}

}  // namespace cellar::sandbox
