#include "json/value.h"

namespace cellar::json {

std::size_t Object::place_of(std::string_view key) const noexcept {
  if (!places_.empty()) {
    const auto found = places_.find(std::string(key));
    return found == places_.end() ? members_.size() : found->second;
  }
  std::size_t place = 0;
  while (place < members_.size() && members_[place].first != key) ++place;
  return place;
}

const Value* Object::find(std::string_view key) const noexcept {
  const std::size_t place = place_of(key);
  return place == members_.size() ? nullptr : &members_[place].second;
}

Value* Object::find(std::string_view key) noexcept {
  const std::size_t place = place_of(key);
  return place == members_.size() ? nullptr : &members_[place].second;
}

void Object::set(std::string key, Value value) {
  const std::size_t place = place_of(key);
  if (place < members_.size()) {
    members_[place].second = std::move(value);
    return;
  }
  members_.emplace_back(std::move(key), std::move(value));
  if (members_.size() == kHashedFrom) {
    for (std::size_t i = 0; i < members_.size(); ++i) places_[members_[i].first] = i;
  } else if (members_.size() > kHashedFrom) {
    places_[members_.back().first] = place;
  }
}

bool Object::erase(std::string_view key) {
  const std::size_t place = place_of(key);
  if (place == members_.size()) return false;
  members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(place));
  if (!places_.empty()) {
    places_.clear();
    if (members_.size() >= kHashedFrom) {
      for (std::size_t i = 0; i < members_.size(); ++i) places_[members_[i].first] = i;
    }
  }
  return true;
}

std::size_t Object::size() const noexcept { return members_.size(); }
std::vector<Object::Member>::const_iterator Object::begin() const noexcept {
  return members_.begin();
}
std::vector<Object::Member>::const_iterator Object::end() const noexcept { return members_.end(); }

bool Object::operator==(const Object& other) const {
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

Value object(std::initializer_list<std::pair<std::string_view, Value>> members) {
  Object result;
  for (const auto& [key, value] : members) result.set(std::string(key), value);
  return result;
}

Value array(std::initializer_list<Value> items) { return Array(items); }

}  // namespace cellar::json
