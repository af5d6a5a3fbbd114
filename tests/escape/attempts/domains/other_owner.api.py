# Another key's owner asks for the cell.
# defence: every call looks for the cell among the owner's
# expect: \S+: (401|404)

for key in ("wrong", "", "dev", "e2e-key-0123456788"):
    answer = daemon.call("GET", f"/api/v1/cells/{cell.id}", headers={"Authorization": f"Bearer {key}"})
    report(key or "none", str(answer.status) if answer.status >= 400 else None)
