# A copy of a program is made setuid root, for a user to start.
# defence: no_new_privs; nosuid
# expect: euid [1-9]\d*
# as: root

cp /usr/bin/id "/tmp/id$$" && chmod 6755 "/tmp/id$$"
echo "euid $(setpriv --reuid=1000 --regid=1000 --clear-groups "/tmp/id$$" -u)"
