# A link to a file of the host is read by the file API.
# defence: openat2 with RESOLVE_BENEATH
# expect: \S+: \d+

secret = daemon.root / "outside"
secret.write_text("top secret")
for number, target in enumerate((secret, "/etc/shadow", "/proc/self/environ", "/proc/1/root/etc/shadow", "../../../cell.json",
                                 "/proc/self/fd/0", "..", "/")):
    cell.exec(["ln", "-sfn", str(target), f"/work/link{number}"])
    answer = cell.call("GET", f"/files/link{number}")
    report(str(target), str(answer.status) if answer.status >= 400 else None)
