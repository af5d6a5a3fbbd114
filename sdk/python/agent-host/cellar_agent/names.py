"""The names of a run's steps and waits, which number themselves: name, name#2, name#3, …"""


class Names:
    def __init__(self):
        self._counts = {}  # name → how many bear it

    def peek(self, name):
        """What the next one that the code calls `name` is called."""
        count = self._counts.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"

    def take(self, name):
        """The same, and that one is there now."""
        shown = self.peek(name)
        self._counts[name] = self._counts.get(name, 0) + 1
        return shown
