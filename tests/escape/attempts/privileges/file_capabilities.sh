# A program is given capabilities in its file.
# defence: no_new_privs; nosuid; the bounding set
# expect: refused
# as: root

cp /usr/bin/python3 "/tmp/py$$"
setcap cap_sys_admin,cap_net_raw+ep "/tmp/py$$" 2> /dev/null
setpriv --reuid=1000 --regid=1000 --clear-groups "/tmp/py$$" -c '
import socket
socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)' 2> /dev/null && echo ALLOWED || echo refused
