#pragma once

#include <string>
#include <string_view>

#include "journal/records.h"
#include "journal/storage.h"

// Values outside the records: files named by the SHA-256 of what they hold, "blobs/ab/<digest>".
namespace cellar::journal {

// Stores `bytes`, durable when this returns. What is there already, whole, is left alone. Throws
// Error.
BlobRef put_blob(Storage& storage, std::string_view bytes);

// The bytes of the blob. Throws Error `corrupt` where it is gone or holds something else.
std::string get_blob(Storage& storage, const BlobRef& blob);

}  // namespace cellar::journal
