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
    path.write_text(json.dumps({"date": day, "machine": machine, "rows": rows}, indent=1) + "\n")
    print(f"saved: {path}")
