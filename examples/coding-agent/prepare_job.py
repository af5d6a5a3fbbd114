#!/usr/bin/env python3
"""Lays out the demo's job: prepare_job.py TARGET

The repository is moment 2.3.0 as it was published on npm, with the regression tests of 2.3.1. The
bug is moment's issue 1171: `moment.months(0)` gives all months. 2.3.1 fixed it.
"""
import base64
import hashlib
import io
import pathlib
import shutil
import sys
import tarfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parents[1] / "build" / "demo-cache"
SHA512 = {
    "2.3.0": "fN9EKGdLvgF2OtqMrcrZZ8Gh+PgVZMxdic9T/5wLXWghpX2mTQHfQ+Q3wkLyr7FjsYCvemrg3GwwH+LFBhmZAw==",
    "2.3.1": "6VCOv90i/8h3V5xvDxLeM6OplfzV4K//5Xb9iJRO8jy+xj1FXLmzxpKgBf8FRiP6Pv+I/v43W1rd1Ocy+Olcaw==",
}
REGRESSION_TEST = "test/moment/listers.js"
LEFT_OUT = ("min/",)  # built from the sources
ATTEMPTS = 5

TEST_COMMAND = "TZ=UTC node run_tests.js test/moment"
INSTRUCTION = """\
moment.months(0) does not work (issue 1171). Since 2.3.0 one can ask for a single name from the
lists of the language: moment.months(2) is "March" and moment.weekdaysShort(1) is "Mon". But with
the index 0 I get the whole list back: moment.months(0) is an array of all twelve months, where I
expect "January". monthsShort, weekdays, weekdaysShort and weekdaysMin are wrong in the same way."""


def download(version):
    """The published package, checked against its digest."""
    cached = CACHE / f"moment-{version}.tgz"
    url = f"https://registry.npmjs.org/moment/-/moment-{version}.tgz"
    for attempt in range(ATTEMPTS):
        try:
            data = cached.read_bytes() if cached.exists() else urllib.request.urlopen(url, timeout=30).read()
        except OSError as error:
            if attempt == ATTEMPTS - 1:
                raise SystemExit(f"prepare_job: {url}: {error}") from error
            time.sleep(1 + attempt)
            continue
        if base64.b64encode(hashlib.sha512(data).digest()).decode() == SHA512[version]:
            CACHE.mkdir(parents=True, exist_ok=True)
            cached.write_bytes(data)
            return data
        cached.unlink(missing_ok=True)
    raise SystemExit(f"prepare_job: {url} is not what it was when this was written")


def files_of(version):
    """{path: bytes} of a package."""
    with tarfile.open(fileobj=io.BytesIO(download(version))) as archive:
        return {member.name.split("/", 1)[1]: archive.extractfile(member).read()
                for member in archive.getmembers() if member.isfile()}


def prepare(target):
    """Writes the repository into the folder `target`, made anew."""
    target = pathlib.Path(target)
    shutil.rmtree(target, ignore_errors=True)
    files = {name: data for name, data in files_of("2.3.0").items() if not name.startswith(LEFT_OUT)}
    files[REGRESSION_TEST] = files_of("2.3.1")[REGRESSION_TEST]
    files["run_tests.js"] = (HERE / "run_tests.js").read_bytes()
    for name, data in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return sorted(files)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{len(prepare(sys.argv[1]))} files in {sys.argv[1]}; test with: {TEST_COMMAND}")
