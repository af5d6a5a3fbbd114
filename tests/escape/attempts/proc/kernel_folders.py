# Folders of drivers and firmware.
# defence: masked
# expect: \S+: (empty|absent)

import os
for name in ("acpi", "scsi", "asound", "driver"):
    path = f"/proc/{name}"
    report(path, "absent" if not os.path.isdir(path) else "empty" if not os.listdir(path) else None)
