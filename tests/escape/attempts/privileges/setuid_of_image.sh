# Programs of the image that are setuid (su, mount, passwd) are used by a user.
# defence: no_new_privs; nosuid
# expect: refused
# as: user

su -c id root < /dev/null 2> /dev/null | grep uid=0 && echo ALLOWED || echo refused
