# The daemon's folder: other cells, the registry, the sealing key.
# defence: own root
# expect: none

find / -xdev \( -name registry.db -o -name cell.json -o -name seal.key -o -name 'shell.sock' -o -name 'agent.sock' \) 2> /dev/null | grep . && echo ALLOWED
echo none
