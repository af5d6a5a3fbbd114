"""The files below the work folder. No path leads outside, by ".." or through a link."""
import os
import secrets
import shutil
import stat

from .errors import Error
from .values import to_bytes

LISTED_MAX = 100_000
LINKS_MAX = 40  # in a chain, as the kernel counts
MISSING = (FileNotFoundError, NotADirectoryError)


def _absolute(*parts):
    path = os.path.normpath(os.path.join(*parts))
    return path[1:] if path.startswith("//") else path


def _sync_folders(folder, last):
    """Makes the names in a folder durable, and those in the folders above it up to `last`."""
    while True:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if folder == last:
            return
        folder = os.path.dirname(folder)


def _make_folders(folder):
    """The folder that all that were made are in; the folder itself where it was there."""
    last = folder
    while not os.path.exists(last):
        last = os.path.dirname(last)
    os.makedirs(folder, exist_ok=True)
    return last


class Files:
    def __init__(self, root):
        self.root = os.path.realpath(root)

    def resolve(self, relative):
        """The absolute path, checked: what exists of it is really below the root."""
        if isinstance(relative, os.PathLike):
            relative = os.fspath(relative)
        if not isinstance(relative, str) or relative == "" or "\0" in relative:
            raise Error(f"a path must be a text, it is {relative!r}", code="invalid_path")
        relative = to_bytes(relative).decode()  # Of whole characters.
        absolute = _absolute(self.root, relative)
        self._require_really_inside(absolute, relative, LINKS_MAX)
        return absolute

    def _require_really_inside(self, absolute, relative, links_left):
        """Follows the deepest part of the path that exists. A link to what is not there yet exists,
        too."""
        self._require_inside(absolute, relative)
        at = absolute
        while True:
            try:
                self._require_inside(os.path.realpath(at, strict=True), relative)
                return
            except MISSING:
                pass
            link = self._target_of(at)
            if link is not None:
                break
            at = os.path.dirname(at)
        if links_left == 0:
            raise Error(f'"{relative}" is a chain of links', code="invalid_path")
        target = _absolute(os.path.dirname(at), link, os.path.relpath(absolute, at))
        self._require_really_inside(target, relative, links_left - 1)

    def _target_of(self, absolute):
        """None for what is no link."""
        try:
            return os.readlink(absolute)
        except OSError:
            return None

    def _resolve_entry(self, relative):
        """The absolute path of something in the work folder, not of the folder itself."""
        absolute = self.resolve(relative)
        if absolute == self.root:
            raise Error(f'"{relative}" is the work folder itself', code="invalid_path")
        return absolute

    def _require_inside(self, absolute, relative):
        if absolute != self.root and not absolute.startswith(self.root + "/"):
            raise Error(f'"{relative}" leads outside {self.root}', code="invalid_path")

    def read(self, relative):
        """None where there is no such file."""
        try:
            with open(self.resolve(relative), "rb") as file:
                return file.read()
        except MISSING:
            return None

    def write(self, relative, content):
        """The file holds the old or the new content, whatever happens."""
        target = self._resolve_entry(relative)
        folder = os.path.dirname(target)
        last = _make_folders(folder)
        draft = os.path.join(folder, f".cellar-{secrets.token_hex(8)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            with open(os.open(draft, flags, self._mode_of(target)), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, target)
            _sync_folders(folder, last)
        except BaseException:
            if os.path.lexists(draft):
                os.unlink(draft)
            raise
        return True

    def _mode_of(self, target):
        try:
            return stat.S_IMODE(os.stat(target).st_mode) & 0o777
        except OSError:
            return 0o644

    def exists(self, relative):
        return os.path.exists(self.resolve(relative))

    def delete(self, relative):
        """False where there was nothing."""
        target = self._resolve_entry(relative)
        if not os.path.lexists(target):
            return False
        if os.path.isdir(target) and not os.path.islink(target):
            shutil.rmtree(target)
        else:
            os.unlink(target)
        folder = os.path.dirname(target)
        _sync_folders(folder, folder)
        return True

    def list(self, folder):
        """All files below the folder, relative to it, sorted; links are named, not followed."""
        found, seen = [], 0
        places = [(self.resolve(folder), "")]
        while places:
            place, prefix = places.pop()
            for entry in self._entries_of(place):
                seen += 1
                if seen > LISTED_MAX:
                    raise Error(f'"{folder}" holds more than {LISTED_MAX} entries: list a folder below '
                                "it", code="too_many_files")
                if entry.is_dir(follow_symlinks=False):
                    places.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    found.append(prefix + entry.name)
        return sorted(found)

    def _entries_of(self, place):
        """A folder may go while it is listed: commands run at the same time."""
        try:
            with os.scandir(place) as entries:
                return list(entries)
        except FileNotFoundError:
            return []
