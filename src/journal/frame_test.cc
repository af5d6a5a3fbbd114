#include "journal/frame.h"

#include <doctest/doctest.h>

#include "journal/journal_fixture.h"

namespace cellar::journal {
namespace {

std::string sealed(Lsn lsn, const RecordHead& head, std::string_view body, std::uint64_t salt,
                   Lsn durable_lsn = 0, std::uint16_t flags = 0) {
  std::string bytes;
  encode_frame(bytes, lsn, head, body);
  seal_frame(bytes.data(), salt, durable_lsn, flags);
  return bytes;
}

}  // namespace

TEST_CASE("a record is decoded to what was encoded, at every length of its body") {
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string body(size, 'b');
    const RecordHead head{
        .run = 3, .ordinal = 9, .type = Type::step_end, .flags = kBlob, .t_ns = 5};
    const std::string bytes = sealed(17, head, body, 0x1234567890abcdef, 16, kBatchEnd);
    CHECK(bytes.size() % 8 == 0);
    CHECK(bytes.size() == frame_size(size));
    const std::string with_more = bytes + "what follows";
    const auto frame = decode_frame(with_more, 0x1234567890abcdef);
    REQUIRE(frame.has_value());
    CHECK(frame->lsn == 17);
    CHECK(frame->durable_lsn == 16);
    CHECK(frame->head.run == 3);
    CHECK(frame->head.ordinal == 9);
    CHECK(frame->head.type == Type::step_end);
    CHECK(frame->head.flags == (kBlob | kBatchEnd));
    CHECK(frame->head.t_ns == 5);
    CHECK(frame->body == body);
    CHECK(frame->size == bytes.size());
  }
}

TEST_CASE("a record with any bit flipped, any byte missing or another salt is none") {
  const std::string bytes = sealed(2, event_head(), "a body", 99);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    CAPTURE(bit);
    CHECK_FALSE(decode_frame(flipped, 99).has_value());
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(decode_frame(std::string_view(bytes).substr(0, size), 99).has_value());
  }
  CHECK_FALSE(decode_frame(bytes, 98).has_value());
  CHECK_FALSE(decode_frame(std::string(4096, '\0'), 0).has_value());
}

TEST_CASE("a header is decoded to what was encoded, and any bit flipped is noticed") {
  const SegmentHeader header{.cell_id = "acme--user-1",
                             .segment_no = 4,
                             .first_lsn = 1000,
                             .salt = 0xfedcba9876543210,
                             .prev_segment_digest = std::string(32, 'd'),
                             .created_ns = 12345,
                             .segment_bytes = 1 << 20};
  const std::string bytes = encode_header(header);
  REQUIRE(bytes.size() == kHeaderBytes);
  const auto decoded = decode_header(bytes);
  REQUIRE(decoded.has_value());
  CHECK(decoded->version == kFormatVersion);
  CHECK(decoded->min_reader == kFormatVersion);
  CHECK(decoded->cell_id == header.cell_id);
  CHECK(decoded->segment_no == header.segment_no);
  CHECK(decoded->first_lsn == header.first_lsn);
  CHECK(decoded->salt == header.salt);
  CHECK(decoded->prev_segment_digest == header.prev_segment_digest);
  CHECK(decoded->created_ns == header.created_ns);
  CHECK(decoded->segment_bytes == header.segment_bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    CAPTURE(bit);
    REQUIRE_FALSE(decode_header(flipped).has_value());
  }
  CHECK_FALSE(decode_header(std::string_view(bytes).substr(1)).has_value());
}

TEST_CASE("every type that has a body has a name") {
  for (std::uint16_t number = 0; number < 40; ++number) {
    const auto type = static_cast<Type>(number);
    if (is_known(type)) CHECK(to_string(type) != "unknown");
    CHECK((to_string(type) == "unknown") == (number == 0 || number > 33));
  }
}

}  // namespace cellar::journal
