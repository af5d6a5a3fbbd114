# Descriptors of the runtime are open in a command.
# defence: close_range
# expect: (none|0|1|2)

for fd in /proc/self/fd/*; do
  number=$(basename "$fd")
  case "$number" in
    0 | 1 | 2) echo "$number" ;;
    *) case "$(readlink "/proc/$$/fd/$number" 2> /dev/null)" in "" | /proc/* | /work | "pipe:"* | "anon_inode:"*) echo none ;; *) echo "ALLOWED $(readlink "/proc/$$/fd/$number")" ;; esac ;;
  esac
done
