"""The limits of docs/guide/limits.md that a client can reach."""
import harness

MIB = 1 << 20


class LimitsTest(harness.CellTest):
    def announced(self, method, path, length):
        """The status and code for a body of which only the length is sent."""
        connection = self.daemon.connect()
        connection.putrequest(method, path)
        connection.putheader("Authorization", f"Bearer {self.daemon.key}")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, "body_too_large" in body

    def test_a_body_and_a_file_have_a_limit_that_is_told_before_they_are_sent(self):
        cell = self.cell()
        self.assertEqual((413, True), self.announced("POST", f"{cell.path}/request", 64 * MIB + 1))
        self.assertEqual((413, True), self.announced("PUT", f"{cell.path}/files/x", 256 * MIB + 1))

    def test_an_agent_has_at_most_4_mib(self):
        fits = "module.exports = { f() { return 1 } }\n//"
        fits += "a" * (4 * MIB - len(fits))
        cell = self.cell(agent=fits)
        self.assertEqual(1, cell.request("f").json)
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "larger", "agent": fits + "a"})
        self.assertEqual((413, "agent_too_large"), (answer.status, answer.json["code"]))

    def test_an_allow_list_has_at_most_256_entries(self):
        names = [f"h{number}.example" for number in range(257)]
        self.assertEqual(256, len(self.cell(allow=names[:256]).fields["allow"]))
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "more", "allow": names})
        self.assertEqual(400, answer.status)

    def test_words_time_and_output_of_a_command_have_limits(self):
        cell = self.cell()
        long = cell.call("POST", "/exec", {"cmd": ["echo", "a" * (128 << 10)]})
        self.assertEqual((413, "command_too_large"), (long.status, long.json["code"]))
        for fields in ({"timeout_ms": 86_400_001}, {"limits": {"output_bytes": 64 * MIB + 1}}):
            self.assertEqual(400, cell.call("POST", "/exec", {"cmd": "true", **fields}).status, fields)

    def test_values_and_keys_of_the_database_have_limits(self):
        cell = self.cell()
        fits = "a" * (16 * MIB - 2)  # with its quotes
        self.assertEqual(200, cell.request("db_set", {"key": "k" * 1024, "value": fits}).status)
        self.assertEqual(413, cell.request("db_set", {"key": "k", "value": fits + "a"}).status)
        self.assertEqual(400, cell.request("db_set", {"key": "k" * 1025, "value": 1}).status)

    def test_a_file_above_1_mb_is_not_searched(self):
        cell = self.cell()
        for name, size in (("small.txt", 900_000), ("large.txt", 1_100_000)):
            cell.call("PUT", f"/files/{name}", b"zebrafish\n" + b"lorem ipsum\n" * (size // 12))
        found = cell.call("POST", "/search", {"query": "zebrafish"}).json["results"]
        self.assertEqual({"small.txt"}, {hit["path"] for hit in found})
