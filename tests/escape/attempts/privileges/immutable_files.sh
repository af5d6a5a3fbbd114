# A file is made immutable, so that the host cannot delete it.
# defence: no CAP_LINUX_IMMUTABLE
# expect: refused

touch /work/immutable$$
chattr +i /work/immutable$$ 2> /dev/null && echo ALLOWED || echo refused
rm -f /work/immutable$$
