# Calls that came after this version.
# defence: seccomp allows by name
# expect: \w+: ENOSYS

for number in (470, 480, 512, 600, 1000):
    NUMBERS[f"n{number}"] = number
    call(f"n{number}", 0, 0, 0, 0, 0, 0)
