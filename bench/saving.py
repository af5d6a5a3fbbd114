"""Where figures are kept: bench/results/DATE[-NAME].json, with the machine that they were measured on."""
import datetime
import json
import os
import pathlib
import platform


def save(rows, name=""):
    machine = {"kernel": platform.release(), "processors": os.cpu_count(), "load": os.getloadavg()[0]}
    day = datetime.date.today().isoformat()
    path = pathlib.Path(__file__).resolve().parent / "results" / (f"{day}-{name}.json" if name else f"{day}.json")
    path.parent.mkdir(exist_ok=True)
    if path.exists():  # Of the same day: another part, or the same rows measured again.
        names = {row.get("name") for row in rows}
        rows = [row for row in json.loads(path.read_text())["rows"] if row.get("name") not in names] + rows
    path.write_text(json.dumps({"date": day, "machine": machine, "rows": rows}, indent=1) + "\n")
    print(f"saved: {path}")
