#include "journal/cbor.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.h"
#include "base/text.h"

namespace cellar::journal::cbor {
namespace {

// The upper three bits of an item's first byte.
enum Major : std::uint8_t {
  kUnsigned = 0,
  kNegative = 1,
  kByteString = 2,
  kTextString = 3,
  kArray = 4,
  kMap = 5,
  kSimple = 7,
};
constexpr std::uint8_t kFalse = 20;
constexpr std::uint8_t kTrue = 21;
constexpr std::uint8_t kNull = 22;
constexpr std::uint8_t kFloat64 = 27;
constexpr std::uint64_t kNan = 0x7ff8000000000000;  // The only NaN there is.

void put_big_endian(std::string& out, std::uint64_t number, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(number >> (8 * i)));
}

void put_head(std::string& out, Major major, std::uint64_t number) {
  const auto first = [&](std::uint8_t low) { out.push_back(static_cast<char>(major << 5 | low)); };
  if (number < 24) {
    first(static_cast<std::uint8_t>(number));
  } else if (number <= 0xff) {
    first(24);
    put_big_endian(out, number, 1);
  } else if (number <= 0xffff) {
    first(25);
    put_big_endian(out, number, 2);
  } else if (number <= 0xffffffff) {
    first(26);
    put_big_endian(out, number, 4);
  } else {
    first(27);
    put_big_endian(out, number, 8);
  }
}

// The order of encoded keys: the shorter first, then byte by byte.
bool is_before(std::string_view a, std::string_view b) noexcept {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

struct Encoder {
  std::string& out;

  void operator()(Null) const { put_head(out, kSimple, kNull); }
  void operator()(bool value) const { put_head(out, kSimple, value ? kTrue : kFalse); }
  void operator()(std::uint64_t value) const { put_head(out, kUnsigned, value); }
  void operator()(Negative value) const { put_head(out, kNegative, value.n); }
  void operator()(double value) const {
    out.push_back(static_cast<char>(kSimple << 5 | kFloat64));
    put_big_endian(out, std::isnan(value) ? kNan : std::bit_cast<std::uint64_t>(value), 8);
  }
  void operator()(const Bytes& value) const {
    put_head(out, kByteString, value.bytes.size());
    out += value.bytes;
  }
  void operator()(const std::string& value) const {
    put_head(out, is_valid_utf8(value) ? kTextString : kByteString, value.size());
    out += value;
  }
  void operator()(const Array& value) const {
    put_head(out, kArray, value.size());
    for (const Value& item : value) encode_to(out, item);
  }
  void operator()(const Map& value) const {
    std::vector<const Entry*> sorted;
    for (const Entry& entry : value) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(),
              [](const Entry* a, const Entry* b) { return is_before(a->first, b->first); });
    put_head(out, kMap, sorted.size());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      CELLAR_CHECK(i == 0 || sorted[i - 1]->first != sorted[i]->first);
      CELLAR_CHECK(is_valid_utf8(sorted[i]->first));
      (*this)(sorted[i]->first);
      encode_to(out, sorted[i]->second);
    }
  }
};

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const noexcept { return rest_.empty(); }

  std::optional<Value> value(int depth) {
    const auto head = this->head();
    if (!head) return std::nullopt;
    switch (head->major) {
      case kUnsigned:
        return Value(head->number);
      case kNegative:
        return Value(Negative{head->number});
      case kByteString: {
        const auto bytes = take(head->number);
        if (!bytes) return std::nullopt;
        return Value(Bytes{std::string(*bytes)});
      }
      case kTextString: {
        auto text = this->text(*head);
        if (!text) return std::nullopt;
        return Value(*std::move(text));
      }
      case kArray:
        return array(head->number, depth);
      case kMap:
        return map(head->number, depth);
      case kSimple:
        return simple(*head);
      default:
        return std::nullopt;  // a tag
    }
  }

 private:
  struct Head {
    std::uint8_t major = 0;
    std::uint8_t low = 0;
    std::uint64_t number = 0;
  };

  std::optional<std::string_view> take(std::uint64_t size) {
    if (size > rest_.size()) return std::nullopt;
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::optional<Head> head() {
    const auto first = take(1);
    if (!first) return std::nullopt;
    const auto byte = static_cast<unsigned char>(first->front());
    Head head{.major = static_cast<std::uint8_t>(byte >> 5),
              .low = static_cast<std::uint8_t>(byte & 31)};
    head.number = head.low;
    if (head.low < 24) return head;
    if (head.low > 27) return std::nullopt;  // reserved, or of indefinite length
    const int size = 1 << (head.low - 24);
    const auto bytes = take(static_cast<std::uint64_t>(size));
    if (!bytes) return std::nullopt;
    head.number = 0;
    for (const char next : *bytes) {
      head.number = head.number << 8 | static_cast<unsigned char>(next);
    }
    // There is one form only of each number: the shortest. (Floats are no numbers in this sense.)
    const bool is_shortest = size == 1 ? head.number >= 24 : head.number >> (4 * size) != 0;
    if (head.major != kSimple && !is_shortest) return std::nullopt;
    return head;
  }

  std::optional<std::string> text(const Head& head) {
    const auto bytes = take(head.number);
    if (!bytes || !is_valid_utf8(*bytes)) return std::nullopt;
    return std::string(*bytes);
  }

  static std::optional<Value> simple(const Head& head) {
    switch (head.low) {
      case kFalse:
        return Value(false);
      case kTrue:
        return Value(true);
      case kNull:
        return Value(Null{});
      case kFloat64: {
        const auto number = std::bit_cast<double>(head.number);
        if (std::isnan(number) && head.number != kNan) return std::nullopt;
        return Value(number);
      }
      default:
        return std::nullopt;
    }
  }

  // Every item takes a byte at least, so a count that is too large ends soon: nothing is reserved.
  std::optional<Value> array(std::uint64_t count, int depth) {
    if (depth == 0) return std::nullopt;
    Array items;
    for (std::uint64_t i = 0; i < count; ++i) {
      auto item = value(depth - 1);
      if (!item) return std::nullopt;
      items.push_back(*std::move(item));
    }
    return Value(std::move(items));
  }

  std::optional<Value> map(std::uint64_t count, int depth) {
    if (depth == 0) return std::nullopt;
    Map entries;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto key_head = head();
      if (!key_head || key_head->major != kTextString) return std::nullopt;
      auto key = text(*key_head);
      if (!key) return std::nullopt;
      if (!entries.empty() && !is_before(entries.back().first, *key)) return std::nullopt;
      auto item = value(depth - 1);
      if (!item) return std::nullopt;
      entries.emplace_back(*std::move(key), *std::move(item));
    }
    return Value(std::move(entries));
  }

  std::string_view rest_;
};

}  // namespace

Value::Value(std::int64_t value) {
  if (value >= 0) {
    value_ = static_cast<std::uint64_t>(value);
  } else {
    value_ = Negative{static_cast<std::uint64_t>(-(value + 1))};
  }
}
Value::Value(Array value) : value_(std::move(value)) {}
Value::Value(Map value) : value_(std::move(value)) {}

const Value* Value::find(std::string_view key) const noexcept {
  const Map* map = as<Map>();
  if (map == nullptr) return nullptr;
  for (const Entry& entry : *map) {
    if (entry.first == key) return &entry.second;
  }
  return nullptr;
}

bool Value::operator==(const Value& other) const { return value_ == other.value_; }

void encode_to(std::string& out, const Value& value) { std::visit(Encoder{out}, value.value_); }

std::string encode(const Value& value) {
  std::string out;
  encode_to(out, value);
  return out;
}

std::optional<Value> decode(std::string_view bytes) {
  Decoder decoder(bytes);
  auto value = decoder.value(kDepthMax);
  if (!value || !decoder.at_end()) return std::nullopt;
  return value;
}

}  // namespace cellar::journal::cbor
