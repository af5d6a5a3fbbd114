# Output without end.
# defence: the output limit; the pipe is drained
# expect: \w+: cut

answer = cell.exec("head -c 300000000 /dev/zero | tr '\\0' x")
report("output", "cut" if answer["truncated"] and len(answer["stdout"]) <= 10 << 20 else None)
