#pragma once

#include <map>
#include <string>
#include <vector>

#include "sandbox/plan.h"
#include "sys/fd.h"

namespace cellar::spawn {

// Does the steps of a plan, one by one, in a process that is alone in new namespaces. Any failure
// throws Error, and the process must end: there is no weaker domain.
class Performer {
 public:
  // `user_namespace` is the domain's, `uid_base` the host's id of its root.
  Performer(int user_namespace, std::uint32_t uid_base)
      : user_namespace_(user_namespace), uid_base_(uid_base) {}

  void perform(const std::vector<sandbox::Step>& plan);

 private:
  void act(const sandbox::JoinGroup& step);
  void act(const sandbox::NewCgroupNamespace& step);
  void act(const sandbox::SetHostName& step);
  void act(const sandbox::MakeEveryAddressLocal& step);
  void act(const sandbox::OpenSource& step);
  void act(const sandbox::Overlay& step);
  void act(const sandbox::MountSource& step);
  void act(const sandbox::MountNew& step);
  void act(const sandbox::MakeFile& step);
  void act(const sandbox::MakeFolder& step);
  void act(const sandbox::MakeLink& step);
  void act(const sandbox::Mask& step);
  void act(const sandbox::MakeReadOnly& step);
  void act(const sandbox::PivotRoot& step);

  std::string staged(const std::string& source);
  void require_stage();
  void set_root(int mount);
  sys::Fd target_of(const std::string& path);
  sys::Fd parent_of(const std::string& path);

  int user_namespace_;
  std::uint32_t uid_base_;
  std::map<std::string, sys::Fd> sources_;
  bool has_stage_ = false;
  sys::Fd root_;
};

}  // namespace cellar::spawn
