# Mount points of the next start are replaced by links.
# defence: the root is assembled by descriptors; a link is replaced
# expect: \S+: (inside|starts)

poisoned = suite.fresh_cell("poisoned")
poisoned.exec("rm -rf /srv /mnt /opt; ln -s /etc /srv; ln -s /proc /mnt; mv /home /h; ln -s /work /home; rmdir /run /tmp /work /proc; ln -sfn /etc /var/lib/dpkg")
poisoned.call("POST", "/pause", {"hibernate": True})
answer = poisoned.exec("test ! -L /proc && test ! -L /dev && test -d /work && ls /usr > /dev/null && echo fine")
report("root", "starts" if answer["stdout"] == "fine\n" else None)
poisoned.call("DELETE")
