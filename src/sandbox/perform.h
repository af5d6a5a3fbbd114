#pragma once

#include <map>
#include <string>
#include <vector>

#include "sandbox/plan.h"
#include "sys/fd.h"

namespace cellar::sandbox {

// What plans take hold of, by name.
using Sources = std::map<std::string, sys::Fd>;

// A detached mount of the host folder or file that the step names; of the domain whose user
// namespace that is (-1 where none of the plan's sources is a domain's). Throws Error.
sys::Fd open_source(const OpenSource& step, int user_namespace);

// Does the steps of a plan, one by one, in a process that is alone in new namespaces. Any failure
// throws Error, and the process must end: there is no weaker domain.
class Performer {
 public:
  // `uid_base` is the host's id of who owns what is made. Of what is in `sources` nothing is
  // opened here; all else of the domain's whose user namespace that is.
  explicit Performer(std::uint32_t uid_base, Sources sources = {}, int user_namespace = -1)
      : uid_base_(uid_base), sources_(std::move(sources)), user_namespace_(user_namespace) {}

  void perform(const std::vector<Step>& plan);
  // The same in the root that the process has, which stays.
  void perform_in_root(const std::vector<Step>& plan);

 private:
  void act(const JoinGroup& step);
  void act(const NewCgroupNamespace& step);
  void act(const SetHostName& step);
  void act(const MakeEveryAddressLocal& step);
  void act(const OpenSource& step);
  void act(const ScratchRoot& step);
  void act(const Overlay& step);
  void act(const Stage& step);
  void act(const MountSource& step);
  void act(const MountNew& step);
  void act(const Take& step);
  void act(const Own& step);
  void act(const MakeFile& step);
  void act(const MakeFolder& step);
  void act(const MakeLink& step);
  void act(const Mask& step);
  void act(const MakeReadOnly& step);
  void act(const PivotRoot& step);
  void act(const LimitProcesses& step);
  void act(const DieFirst& step);

  std::string staged(const std::string& source);
  sys::Fd target_of(const std::string& path);
  sys::Fd parent_of(const std::string& path);

  std::uint32_t uid_base_;
  Sources sources_;
  int user_namespace_;
  std::string scratch_;  // where the scratch root is: "" once it is the root
  sys::Fd root_;         // the one that is being built
};

}  // namespace cellar::sandbox
