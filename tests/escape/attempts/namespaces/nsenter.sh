# The tool that does it.
# defence: process 1 belongs to the host's user namespace; seccomp
# expect: refused

nsenter -t 1 -m -u -n -i -p true 2> /dev/null && echo ALLOWED || echo refused
