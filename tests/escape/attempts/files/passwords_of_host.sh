# Hashes of passwords and private keys of the host.
# defence: the image has neither
# expect: none

grep -hE '^[^:]+:\$' /etc/shadow /etc/gshadow 2> /dev/null && echo ALLOWED
ls /etc/ssh/*key* /root/.ssh/* /etc/ssl/private/* /home/*/.ssh /etc/sudoers.d/* 2> /dev/null && echo ALLOWED
echo none
