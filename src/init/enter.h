#pragma once

#include "sys/fd.h"

namespace cellar::init {

// The last steps into the sandbox. Joins the user namespace, becomes its root, keeps only the
// capabilities that commands may have, can gain no more, and is restricted by Landlock with all
// that it will start. Throws Error; the caller must exit then.
void enter_domain(sys::Fd user_namespace);

}  // namespace cellar::init
