#pragma once

#include <string>
#include <vector>

#include "sandbox/plan.h"

namespace cellar::sandbox {

// Where cell-init is in a domain that gVisor runs.
inline constexpr const char* kInitPath = "/run/cellar/cell-init";

// What the host's side of a sandbox needs.
struct BundleHost {
  std::string init_program;  // cell-init on the host
  std::string folder;        // for config.json and what runsc keeps; it is at kBundlePath meanwhile
};
// Where runsc finds things, in the mount namespace that the steps are done in (perform.cc).
inline constexpr const char* kBundleSources = "/tmp/sources";
inline constexpr const char* kBundlePath = "/tmp/sources/bundle";
inline constexpr const char* kBundleRoot = "/tmp/new-root";

// A domain for `runsc`: the steps that put its root together at kBundleRoot, in a child that then
// executes runsc, and the config.json of the OCI bundle. cell-init is its first process, started
// with `mode` and three descriptors (init/gvisor.h).
struct OciBundle {
  std::vector<Step> plan;
  std::string config;
};

// /proc, /sys, /dev and /tmp are gVisor's own: there is no device, no file of the kernel's and no
// mount of the host's in it but those of the plan.
OciBundle oci_bundle(const DomainSpec& spec, const Image& image, const DomainGroups& groups,
                     const BundleHost& host);

// One that has nothing but cell-init, to learn whether runsc works here.
OciBundle probe_bundle(std::uint32_t uid_base, const DomainGroups& groups, const BundleHost& host);

}  // namespace cellar::sandbox
