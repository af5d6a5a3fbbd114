#include "json/value.h"

#include <bit>

#include "base/bytes.h"
#include "base/random.h"

namespace cellar::json {
namespace {

// Objects of fewer members have no index: looking at each is as fast, and most are small.
constexpr std::size_t kIndexedFrom = 32;

// SipHash-1-3 with a key of this process: names that collide here cannot be found from outside.
std::uint64_t hash_of(std::string_view text) noexcept {
  static const std::uint64_t k0 = random_u64();
  static const std::uint64_t k1 = random_u64();
  std::uint64_t v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d;
  std::uint64_t v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
  const auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  };
  const auto mix = [&](std::uint64_t word) { v3 ^= word, round(), v0 ^= word; };
  std::uint64_t last = std::uint64_t{text.size()} << 56;
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) mix(get_le<std::uint64_t>(text, at));
  for (unsigned shift = 0; at < text.size(); ++at, shift += 8) {
    last |= std::uint64_t{static_cast<unsigned char>(text[at])} << shift;
  }
  mix(last);
  v2 ^= 0xff, round(), round(), round();
  return v0 ^ v1 ^ v2 ^ v3;
}

bool equal_numbers(const Value& a, const Value& b) noexcept {
  if (a.data().index() == b.data().index()) return a.data() == b.data();
  // Of two kinds: an int64 and a larger uint64 are never equal; else one of the two is a double.
  const auto* d = std::get_if<double>(&a.data());
  if (d == nullptr) d = std::get_if<double>(&b.data());
  if (d == nullptr) return false;
  const Value& whole = d == std::get_if<double>(&a.data()) ? b : a;
  if (const auto* i = std::get_if<std::int64_t>(&whole.data())) {
    return *d >= -0x1p63 && *d < 0x1p63 && static_cast<double>(*i) == *d &&
           static_cast<std::int64_t>(*d) == *i;
  }
  const auto* u = std::get_if<std::uint64_t>(&whole.data());
  return *d >= 0 && *d < 0x1p64 && static_cast<double>(*u) == *d &&
         static_cast<std::uint64_t>(*d) == *u;
}

}  // namespace

// Open addressing: each slot holds a place in members_ plus one, or 0. At most half of it is used.
struct Object::Index {
  std::vector<std::uint32_t> slots;

  void insert(std::string_view key, std::size_t place) {
    std::size_t slot = hash_of(key) & (slots.size() - 1);
    while (slots[slot] != 0) slot = (slot + 1) & (slots.size() - 1);
    slots[slot] = static_cast<std::uint32_t>(place + 1);
  }
};

Object::Object() noexcept = default;
Object::Object(const Object& other)
    : members_(other.members_),
      index_(other.index_ ? std::make_unique<Index>(*other.index_) : nullptr) {}
Object::Object(Object&& other) noexcept
    : members_(std::exchange(other.members_, {})), index_(std::move(other.index_)) {}
Object& Object::operator=(const Object& other) {
  if (this != &other) *this = Object(other);
  return *this;
}
Object& Object::operator=(Object&& other) noexcept {
  members_ = std::exchange(other.members_, {});
  index_ = std::move(other.index_);
  return *this;
}
Object::~Object() = default;

std::size_t Object::place_of(std::string_view key) const noexcept {
  if (index_ == nullptr) {
    std::size_t place = 0;
    while (place < members_.size() && members_[place].first != key) ++place;
    return place;
  }
  const auto& slots = index_->slots;
  for (std::size_t slot = hash_of(key) & (slots.size() - 1); slots[slot] != 0;
       slot = (slot + 1) & (slots.size() - 1)) {
    if (members_[slots[slot] - 1].first == key) return slots[slot] - 1;
  }
  return members_.size();
}

void Object::reindex() {
  if (members_.size() < kIndexedFrom) {
    index_.reset();
    return;
  }
  index_ = std::make_unique<Index>();
  index_->slots.resize(std::bit_ceil(members_.size()) * 4);
  for (std::size_t i = 0; i < members_.size(); ++i) index_->insert(members_[i].first, i);
}

const Value* Object::find(std::string_view key) const noexcept {
  const std::size_t place = place_of(key);
  return place == members_.size() ? nullptr : &members_[place].second;
}

Value* Object::find(std::string_view key) noexcept {
  const std::size_t place = place_of(key);
  return place == members_.size() ? nullptr : &members_[place].second;
}

Value& Object::append(std::string key, Value value) {
  members_.emplace_back(std::move(key), std::move(value));
  const bool full = index_ == nullptr ? members_.size() >= kIndexedFrom
                                      : members_.size() * 2 > index_->slots.size();
  if (full) {
    reindex();
  } else if (index_ != nullptr) {
    index_->insert(members_.back().first, members_.size() - 1);
  }
  return members_.back().second;
}

Value& Object::operator[](std::string_view key) {
  Value* value = find(key);
  return value != nullptr ? *value : append(std::string(key), Value());
}

void Object::set(std::string key, Value value) {
  if (Value* present = find(key)) {
    *present = std::move(value);
  } else {
    append(std::move(key), std::move(value));
  }
}

bool Object::erase(std::string_view key) {
  const std::size_t place = place_of(key);
  if (place == members_.size()) return false;
  members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(place));
  if (index_ != nullptr) reindex();
  return true;
}

std::size_t Object::size() const noexcept { return members_.size(); }
Object::Iterator Object::begin() const noexcept { return members_.begin(); }
Object::Iterator Object::end() const noexcept { return members_.end(); }

bool Object::operator==(const Object& other) const noexcept {
  if (size() != other.size()) return false;
  for (const auto& [key, value] : members_) {
    const Value* theirs = other.find(key);
    if (theirs == nullptr || !(*theirs == value)) return false;
  }
  return true;
}

double Value::as_double() const noexcept {
  if (const auto* whole = std::get_if<std::int64_t>(&data_)) return static_cast<double>(*whole);
  if (const auto* whole = std::get_if<std::uint64_t>(&data_)) return static_cast<double>(*whole);
  if (const auto* number = std::get_if<double>(&data_)) return *number;
  return 0;
}

const Value* Value::find(std::string_view key) const noexcept {
  const auto* members = std::get_if<Object>(&data_);
  return members == nullptr ? nullptr : members->find(key);
}

bool Value::operator==(const Value& other) const noexcept {
  if (is_number() && other.is_number()) return equal_numbers(*this, other);
  return data_ == other.data_;
}

Value object(std::initializer_list<std::pair<std::string_view, Value>> members) {
  Object result;
  for (const auto& [key, value] : members) result.set(std::string(key), value);
  return result;
}

Value array(std::initializer_list<Value> items) { return Array(items); }

}  // namespace cellar::json
