#pragma once

namespace cellar::sys {

// What this kernel's Landlock can do: its ABI number, 0 where there is none or it is switched off.
int landlock_version() noexcept;

// For this process and all that it will ever start: no mount is made, moved or removed, no device
// is made, and from version 6 on no signal is sent to, no abstract socket connected with, and no
// process traced that did not come under this restriction too. Costs nothing at other calls: only
// rights that no program uses are handled. Needs no_new_privs. Nothing happens where there is no
// Landlock. Throws Error.
void restrict_with_landlock();

}  // namespace cellar::sys
