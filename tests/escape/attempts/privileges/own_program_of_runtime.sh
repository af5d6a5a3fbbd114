# The runtime's own program is started by an interpreter line, and overwritten (CVE-2019-5736).
# defence: cell-init runs from sealed memory, closed before the exec
# expect: refused

printf '#!/proc/self/exe\n' > "/tmp/trick$$" && chmod +x "/tmp/trick$$"
"/tmp/trick$$" > /dev/null 2>&1
(exec 9> /proc/1/exe) 2> /dev/null && echo ALLOWED || echo refused
