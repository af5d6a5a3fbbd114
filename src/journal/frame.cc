#include "journal/frame.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"

namespace cellar::journal {
namespace {

constexpr std::string_view kMagic = "CELLJRN1";
constexpr std::size_t kHeaderCrcAt = kHeaderBytes - 4;
constexpr std::size_t kCellIdAt = 20;

constexpr std::size_t kDurableAt = 16;
constexpr std::size_t kFlagsAt = 34;

template <typename T>
void patch_le(char* at, T value) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<char>(value >> (8 * i));
}

// `frame` is a whole one, with its padding.
std::uint32_t checksum(std::string_view frame, std::uint64_t salt) noexcept {
  char seed[8];
  patch_le(seed, salt ^ get_le<std::uint64_t>(frame, 8));
  return crc32c(crc32c(0, std::string_view(seed, sizeof seed)), frame.substr(4));
}

}  // namespace

std::string_view to_string(Type type) noexcept {
  static constexpr std::array<std::string_view, 34> kNames = {"unknown",
                                                              "run_created",
                                                              "run_attempt",
                                                              "step_start",
                                                              "step_attempt_failed",
                                                              "step_end",
                                                              "step_interrupted",
                                                              "fs_applied",
                                                              "fs_checkpoint",
                                                              "timer_set",
                                                              "timer_fired",
                                                              "wait_set",
                                                              "event_received",
                                                              "wait_matched",
                                                              "approval_requested",
                                                              "approval_resolved",
                                                              "child_started",
                                                              "child_ended",
                                                              "value",
                                                              "version",
                                                              "removed",
                                                              "progress",
                                                              "cancel_requested",
                                                              "paused",
                                                              "resumed",
                                                              "run_ended",
                                                              "snapshot",
                                                              "forked_from",
                                                              "trim",
                                                              "event",
                                                              "continued",
                                                              "upgraded",
                                                              "left",
                                                              "carried"};
  const auto number = static_cast<std::size_t>(type);
  return kNames[number < kNames.size() ? number : 0];
}

bool is_known(Type type) noexcept {
  switch (type) {
    case Type::run_created:
    case Type::run_attempt:
    case Type::step_start:
    case Type::step_attempt_failed:
    case Type::step_end:
    case Type::step_interrupted:
    case Type::value:
    case Type::progress:
    case Type::event_received:
    case Type::wait_matched:
    case Type::cancel_requested:
    case Type::paused:
    case Type::resumed:
    case Type::run_ended:
    case Type::trim:
    case Type::event:
    case Type::forked_from:
    case Type::continued:
    case Type::upgraded:
    case Type::left:
    case Type::carried:
      return true;
    default:
      return false;
  }
}

void encode_frame(std::string& out, Lsn lsn, const RecordHead& head, std::string_view body) {
  CELLAR_CHECK(body.size() <= kBodyBytesMax);
  const std::size_t begin = out.size();
  put_le<std::uint32_t>(out, 0);
  put_le(out, static_cast<std::uint32_t>(body.size()));
  put_le(out, lsn);
  put_le<std::uint64_t>(out, 0);
  put_le(out, head.run);
  put_le(out, head.ordinal);
  put_le(out, static_cast<std::uint16_t>(head.type));
  put_le(out, head.flags);
  put_le(out, head.t_ns);
  out += body;
  out.resize(begin + frame_size(body.size()), '\0');
}

std::uint32_t seal_frame(char* frame, std::uint64_t salt, Lsn durable_lsn,
                         std::uint16_t add_flags) noexcept {
  const std::string_view head(frame, kRecordHeadBytes);
  patch_le(frame + kDurableAt, durable_lsn);
  patch_le(frame + kFlagsAt,
           static_cast<std::uint16_t>(get_le<std::uint16_t>(head, kFlagsAt) | add_flags));
  const std::size_t size = frame_size(get_le<std::uint32_t>(head, 4));
  const std::uint32_t crc = checksum(std::string_view(frame, size), salt);
  patch_le(frame, crc);
  return crc;
}

std::optional<Frame> decode_unsealed_frame(std::string_view bytes) noexcept {
  if (bytes.size() < kRecordHeadBytes) return std::nullopt;
  const std::size_t body_bytes = get_le<std::uint32_t>(bytes, 4);
  const std::size_t size = frame_size(body_bytes);
  if (body_bytes > kBodyBytesMax || size > bytes.size()) return std::nullopt;
  Frame frame;
  frame.crc = get_le<std::uint32_t>(bytes, 0);
  frame.lsn = get_le<std::uint64_t>(bytes, 8);
  frame.durable_lsn = get_le<std::uint64_t>(bytes, kDurableAt);
  frame.head.run = get_le<std::uint32_t>(bytes, 24);
  frame.head.ordinal = get_le<std::uint32_t>(bytes, 28);
  frame.head.type = static_cast<Type>(get_le<std::uint16_t>(bytes, 32));
  frame.head.flags = get_le<std::uint16_t>(bytes, kFlagsAt);
  frame.head.t_ns = get_le<std::uint64_t>(bytes, 36);
  frame.body = bytes.substr(kRecordHeadBytes, body_bytes);
  frame.size = size;
  return frame;
}

std::optional<Frame> decode_frame(std::string_view bytes, std::uint64_t salt) noexcept {
  auto frame = decode_unsealed_frame(bytes);
  if (!frame || frame->lsn == 0) return std::nullopt;
  if (checksum(bytes.substr(0, frame->size), salt) != frame->crc) return std::nullopt;
  return frame;
}

Record to_record(const Frame& frame) {
  return {.lsn = frame.lsn,
          .run = frame.head.run,
          .ordinal = frame.head.ordinal,
          .type = frame.head.type,
          .flags = frame.head.flags,
          .t_ns = frame.head.t_ns,
          .body = std::string(frame.body)};
}

std::string encode_header(const SegmentHeader& header) {
  CELLAR_CHECK(header.cell_id.size() <= kCellIdBytesMax);
  CELLAR_CHECK(header.prev_segment_digest.size() == kDigestBytes);
  std::string out;
  out.reserve(kHeaderBytes);
  out += kMagic;
  put_le(out, header.version);
  put_le(out, header.min_reader);
  put_le(out, static_cast<std::uint32_t>(header.cell_id.size()));
  out += header.cell_id;
  out.resize(kCellIdAt + kCellIdBytesMax, '\0');
  put_le(out, header.segment_no);
  put_le(out, header.first_lsn);
  put_le(out, header.salt);
  out += header.prev_segment_digest;
  put_le(out, header.created_ns);
  put_le(out, header.segment_bytes);
  out.resize(kHeaderCrcAt, '\0');
  put_le(out, crc32c(0, out));
  return out;
}

std::optional<SegmentHeader> decode_header(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  if (get_le<std::uint32_t>(bytes, kHeaderCrcAt) != crc32c(0, bytes.substr(0, kHeaderCrcAt))) {
    return std::nullopt;
  }
  const std::size_t cell_id_bytes = get_le<std::uint32_t>(bytes, 16);
  if (cell_id_bytes > kCellIdBytesMax) return std::nullopt;
  SegmentHeader header;
  header.version = get_le<std::uint32_t>(bytes, 8);
  header.min_reader = get_le<std::uint32_t>(bytes, 12);
  header.cell_id = bytes.substr(kCellIdAt, cell_id_bytes);
  header.segment_no = get_le<std::uint64_t>(bytes, 256);
  header.first_lsn = get_le<std::uint64_t>(bytes, 264);
  header.salt = get_le<std::uint64_t>(bytes, 272);
  header.prev_segment_digest = bytes.substr(280, kDigestBytes);
  header.created_ns = get_le<std::uint64_t>(bytes, 312);
  header.segment_bytes = get_le<std::uint64_t>(bytes, 320);
  return header;
}

}  // namespace cellar::journal
