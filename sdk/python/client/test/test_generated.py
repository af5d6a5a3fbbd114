"""What is generated is what would be generated now, and what is written is Python 3.9."""
import ast
import pathlib
import sys
import unittest

CLIENT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CLIENT / "tools"))


class GeneratedTest(unittest.TestCase):
    def test_types_and_the_client_for_threads_are_not_stale(self):
        try:
            import yaml  # noqa: F401
        except ImportError:
            print("skipped: whether generated files are stale: PyYAML is not installed")
            self.skipTest("PyYAML is not installed, which reads docs/api/openapi.yaml")
        import generate
        self.assertEqual([], [str(path) for path in generate.stale()], "run sdk/python/client/tools/generate.py")

    def test_types_say_of_each_field_whether_it_is_always_there(self):
        from cellar import types
        for kind, may in ((types.Diff, {"to", "truncated", "truncated_by"}), (types.FilesChangedChangesItem, {"from"}),
                          (types.AuditEntry, {"lost"}), (types.CellResume, set())):
            self.assertEqual(may, set(kind.__optional_keys__))
            self.assertIn("path" if "from" in may else "from", kind.__required_keys__)

    def test_every_file_is_python_3_9(self):
        for path in (CLIENT / "cellar").rglob("*.py"):
            ast.parse(path.read_text(), str(path), feature_version=(3, 9))
            if path.name != "types.py":  # As long as the API is.
                self.assertLessEqual(len(path.read_text().splitlines()), 800, path)


if __name__ == "__main__":
    unittest.main()
