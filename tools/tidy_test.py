"""Tests of tools/tidy.py: each rule finds its offender, and leaves good code alone."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tidy  # noqa: E402


def findings(name, text):
    return [what for _, what in tidy.check_source(name, text)]


class TidyTest(unittest.TestCase):
    def test_a_brace_in_a_co_await_statement_is_found(self):
        self.assertTrue(findings("src/cell/x.cc", "  co_await f({1, 2});\n"))
        self.assertTrue(findings("src/cell/x.cc", "  co_await offload([this] { go(); });\n"))

    def test_a_named_value_before_co_await_is_left_alone(self):
        self.assertEqual([], findings("src/cell/x.cc", "  auto go = [] {};\n  co_await offload(go);\n"))
        self.assertEqual([], findings("src/cell/x.cc", "  if (co_await f()) {\n    g();\n  }\n"))

    def test_an_include_of_a_higher_layer_is_found(self):
        self.assertTrue(findings("src/journal/x.cc", '#include "cell/cell.h"\n'))
        self.assertEqual([], findings("src/cell/x.cc", '#include "journal/journal.h"\n'))

    def test_only_tests_may_include_testing(self):
        self.assertTrue(findings("src/cell/x.cc", '#include "testing/temp_dir.h"\n'))
        self.assertEqual([], findings("src/cell/x_test.cc", '#include "testing/temp_dir.h"\n'))

    def test_a_heavy_header_outside_its_home_is_found(self):
        self.assertTrue(findings("src/api/x.cc", "#include <boost/json.hpp>\n"))
        self.assertTrue(findings("src/cell/x.cc", "#include <sqlite3.h>\n"))
        self.assertEqual([], findings("src/json/json.cc", "#include <boost/json.hpp>\n"))

    def test_a_long_function_is_found(self):
        body = "int f(int x) {\n" + "  ++x;\n" * 80 + "}\n"
        self.assertTrue(findings("src/base/x.cc", body))

    def test_detached_work_is_found(self):
        self.assertTrue(findings("src/cell/x.cc", "  co_spawn(e, f(), asio::detached);\n"))


if __name__ == "__main__":
    unittest.main()
