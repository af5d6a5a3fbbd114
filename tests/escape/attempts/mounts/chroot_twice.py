# Out of the root by a second chroot below a folder that is still open.
# defence: the root is pivoted, above it is nothing
# expect: chroot: (inside|EPERM)
# in-gvisor: it ends at the root of a mount in its own tree, never above its root
# expect-gvisor: chroot: (inside|EPERM)|ALLOWED chroot

import os
def escape():
    os.makedirs("/tmp/deeper", exist_ok=True)
    above = os.open("/", os.O_RDONLY)
    os.chroot("/tmp/deeper")
    os.fchdir(above)
    for _ in range(100):
        os.chdir("..")
    os.chroot(".")
try:
    mine = os.stat("/")
    escape()
    there = os.stat("/")
    report("chroot", "inside" if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino) else None)
except PermissionError:
    report("chroot", "EPERM")
