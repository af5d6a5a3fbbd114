# A user namespace is made by the tool for it.
# defence: seccomp; max_user_namespaces is 0
# expect: refused

unshare -Ur id -u 2> /dev/null && echo ALLOWED || echo refused
unshare -Urn true 2> /dev/null && echo ALLOWED || echo refused
