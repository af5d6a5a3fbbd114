#pragma once

#include <string>

namespace cellar::image {

// Unpacks the image of an OCI layout (https://github.com/opencontainers/image-spec, v1.0) into the
// empty folder `root`: layer by layer, with what each deletes. Of an index the image for this
// machine's architecture is taken. Every blob is compared with its digest. Nothing is written
// outside of `root` and of names that begin with it (".layer", ".names"). Blocking. Throws Error
// `invalid_argument`, reason `invalid_image`.
void unpack_oci(const std::string& layout, const std::string& root);

}  // namespace cellar::image
