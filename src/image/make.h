#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "image/store.h"

// Makes images. Needs root and, from Debian, erofs-utils; mmdebstrap for build(). Blocking, for
// seconds to minutes; what the tools say goes to standard error.
namespace cellar::image {

struct BuildOptions {
  std::string suite = "bookworm";
  std::string mirror;                 // empty: Debian's own
  std::vector<std::string> packages;  // besides those of kBasePackages
};

// A Debian with Node.js, Python, git and compilers, which trusts the certificate authorities that
// were added to this machine (/usr/local/share/ca-certificates). Throws Error; nothing is left
// then.
Image build(Store& store, std::string_view name, const BuildOptions& options);

// From a folder that holds a root file system, a tar archive of one (compressed or not), an OCI
// image layout, or an archive of that ("skopeo copy … oci-archive:app.tar", "docker save"). Owners
// above 65535 become nobody's. Throws Error, naming what `path` lacks.
Image import(Store& store, std::string_view name, const std::string& path);

}  // namespace cellar::image
