#include "image/make.h"

#include <filesystem>

#include "base/error.h"
#include "image/oci.h"
#include "image/root.h"
#include "sys/file.h"
#include "sys/process.h"

namespace cellar::image {
namespace {

namespace fs = std::filesystem;

// What agents and their commands use. Small where there is a choice.
constexpr const char* kBasePackages =
    "ca-certificates,curl,git,openssh-client,nodejs,npm,python3,python3-pip,python3-venv,gcc,g++,"
    "libc6-dev,make,pkg-config,procps,less,ripgrep,patch,unzip,xz-utils,zstd,iproute2,netbase,"
    "util-linux,libcap2-bin,file";

// What this machine's administrator trusts besides Debian's authorities (a company's own), cells
// trust, too.
constexpr const char* kTrustLocalAuthorities =
    "--customize-hook=if ls /usr/local/share/ca-certificates/*.crt > /dev/null 2>&1; then "
    "cp /usr/local/share/ca-certificates/*.crt \"$1/usr/local/share/ca-certificates/\" && "
    "chroot \"$1\" update-ca-certificates > /dev/null; fi";

Image finish(Store& store, const Draft& draft, std::string_view name, const std::string& source) {
  finish_root(draft.root());
  const Packed packed = pack(draft.path());
  return store.add(draft.path(), packed.digest, packed.size_bytes, name, source);
}

void extract(const std::string& archive, const std::string& folder) {
  sys::run_program("tar", {"--extract", "--file", archive, "--directory", folder, "--numeric-owner",
                           "--preserve-permissions"});
}

// Where an archive holds an OCI layout, it was unpacked as if it were a root.
void unpack_archive(const std::string& archive, const Draft& draft) {
  extract(archive, draft.root());
  if (!sys::exists(draft.root() + "/oci-layout")) return;
  const std::string layout = draft.path() + "/layout";
  fs::rename(draft.root(), layout);
  sys::make_dirs(draft.root(), 0755);
  unpack_oci(layout, draft.root());
  sys::remove_tree(layout);
}

}  // namespace

Image build(Store& store, std::string_view name, const BuildOptions& options) {
  check_name(name);
  const Draft draft = store.make_draft();
  std::string packages = kBasePackages;
  for (const std::string& package : options.packages) packages += "," + package;
  std::vector<std::string> arguments = {"--variant=minbase",
                                        "--include=" + packages,
                                        "--dpkgopt=path-exclude=/usr/share/man/*",
                                        "--dpkgopt=path-exclude=/usr/share/doc/*",
                                        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                                        kTrustLocalAuthorities,
                                        options.suite,
                                        draft.root()};
  if (!options.mirror.empty()) arguments.push_back(options.mirror);
  sys::run_program("mmdebstrap", arguments);
  return finish(store, draft, name, "debian " + options.suite);
}

Image import(Store& store, std::string_view name, const std::string& path) {
  check_name(name);
  if (!fs::exists(path)) {
    throw Error(ErrorCode::not_found, "file_not_found", path + " is not there");
  }
  const Draft draft = store.make_draft();
  if (fs::exists(path + "/oci-layout")) {
    unpack_oci(path, draft.root());
  } else if (fs::is_directory(path)) {
    sys::run_program("cp", {"--archive", "--one-file-system", path + "/.", draft.root()});
  } else {
    unpack_archive(path, draft);
  }
  return finish(store, draft, name, "import " + fs::absolute(path).lexically_normal().string());
}

}  // namespace cellar::image
