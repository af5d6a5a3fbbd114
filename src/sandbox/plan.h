#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "sandbox/spec.h"
#include "sys/mounts.h"

// A domain as a list of steps. Steps only name what to do: building them touches nothing, so a
// whole sandbox can be compared, printed and tested as a value. sandbox/perform.h does them.
//
// A domain is made in two parts. The first makes a **blank**, a process alone in new namespaces
// with a /proc and a /dev: it costs most of the time, is the same for all cells, and is done ahead.
// The second makes the blank a cell's.
namespace cellar::sandbox {

using sys::kNoDev;
using sys::kNoExec;
using sys::kNoSuid;
using sys::kReadOnly;

// The processes of this domain count in the cgroup at this folder.
struct JoinGroup {
  std::string folder;
};
// From here on the cgroup it is in looks like the root of all.
struct NewCgroupNamespace {};
struct SetHostName {
  std::string name;
};
struct MakeEveryAddressLocal {};

// Whose ids the files of a source carry: the host's as they are, or 0 to 65535 as the domain sees
// them.
enum class Owners : std::uint8_t { host, domain };

// Takes hold of a host folder or file, by the name that later steps use. All are opened before
// anything is mounted; those of a cell by the spawner, as a blank sees nothing of the host.
struct OpenSource {
  std::string name;
  std::string host_path;
  Owners owners = Owners::domain;
  std::uint64_t attributes = 0;
};

// Where an overlay notes on the files of its upper layer what it must know: the usual place needs
// rights over the file system.
enum class Notes : std::uint8_t { trusted, user };

// An overlay of the sources `lower`, the first one on top, and where `upper` is not empty of the
// folders <upper>/<layer>/{upper,work} of that source; else it is read-only. The one at "/" is the
// root itself and comes first.
struct Overlay {
  std::string path;
  std::vector<std::string> lower;
  std::string upper;
  std::string layer;
  Notes notes = Notes::trusted;
};
// Puts a source in the scratch root, where a program can be told its path.
struct Stage {
  std::string source;
};
struct MountSource {
  std::string source;
  std::string path;
};
// A small empty root, to build a blank in.
struct ScratchRoot {};
// Moves what a blank has mounted at this place, with all that is mounted in it, to the new root.
struct Take {
  std::string path;
};
// Gives a folder of a blank to the domain's root.
struct Own {
  std::string path;
};
struct MountNew {
  std::string type;
  std::string options;  // "size=8m,mode=1777"
  std::string path;
  std::uint64_t attributes = 0;
};
struct MakeFile {  // An empty one, to mount on.
  std::string path;
};
struct MakeFolder {
  std::string path;
};
struct MakeLink {
  std::string path;
  std::string target;
};
// What is there cannot be read any more: a file becomes /dev/null, a folder an empty one. Nothing
// happens where there is nothing.
struct Mask {
  std::string path;
};
struct MakeReadOnly {  // a mount that is there, or a folder of one
  std::string path;
};
struct PivotRoot {};
// The domain's processes, of each of its users, are no more than that.
struct LimitProcesses {
  std::uint32_t count;
};
// Where the machine has no memory left, the domain's processes are ended before others.
struct DieFirst {};

using Step =
    std::variant<JoinGroup, NewCgroupNamespace, SetHostName, MakeEveryAddressLocal, OpenSource,
                 ScratchRoot, Overlay, Stage, MountSource, MountNew, Take, Own, MakeFile,
                 MakeFolder, MakeLink, Mask, MakeReadOnly, PivotRoot, LimitProcesses, DieFirst>;

// What a domain's root is made of. An image of our own is one folder; of the "dev" image, the
// masked view of the host (docs/internals/sandbox.md), /usr and the package database are the
// host's.
struct Image {
  std::string root;      // a mounted image, or a skeleton of / with a filtered copy of /etc
  std::string agent;     // a folder of ours: what agent domains have besides, /data for one
  std::string usr;       // the host's /usr; empty where it is in `root`
  std::string packages;  // the host's /var/lib/dpkg; empty where it is in `root`
  bool operator==(const Image&) const = default;
};

// The complete, ordered list of what makes a process in new namespaces a blank, and a blank a
// domain. This is the security policy: there is no other place that decides what a domain sees.
// Ids, capabilities and the commands' filter come after it (init/enter.h, sandbox/filter.h).
//
// A daemon with the rights of a user (`spec.rights`) opens files as they are on disk, with the
// domain's ids, and cgroups hold nothing.
//
// For gVisor there are no blanks, and the second part ends with the root put together: the rest is
// gVisor's own (oci_bundle.h).
//
// A warm agent domain (spec.h) is made by plan_for() without what is a cell's, and becomes one by
// plan_personal(), which is performed in its mount and uts namespaces while it runs. Both together
// make what plan_for() makes of the whole.
std::vector<Step> plan_blank(const DomainGroups& groups);
std::vector<Step> plan_for(const DomainSpec& spec, const Image& image);
std::vector<Step> plan_personal(const DomainSpec& spec);

// The first steps of both: the cgroups, and a network that leads nowhere.
std::vector<Step> plan_groups(const DomainGroups& groups);

// One line a step, for people and tests.
std::string describe(const std::vector<Step>& plan);

}  // namespace cellar::sandbox
