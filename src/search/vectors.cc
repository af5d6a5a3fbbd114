#include "search/vectors.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

// A product and a sum in one step would round otherwise than on a machine that takes two.
#pragma STDC FP_CONTRACT OFF

namespace cellar::search {
namespace {

constexpr float kValueMax = 127;

bool is_nearer(const VectorField::Near& a, const VectorField::Near& b) noexcept {
  return a.cosine != b.cosine ? a.cosine > b.cosine : a.doc < b.doc;
}

}  // namespace

Vector vector_of(const std::vector<RowCount>& counts) {
  std::array<float, kDimensions> sum{};
  for (const auto& [row, count] : counts) {
    const float weight = model::scale_of(row) * static_cast<float>(count);
    const std::int8_t* values = model::row(row);
    for (std::size_t k = 0; k < kDimensions; ++k) {
      sum[k] += weight * static_cast<float>(values[k]);
    }
  }
  float largest = 0;
  float squares = 0;
  for (const float value : sum) {
    largest = std::max(largest, std::abs(value));
    squares += value * value;
  }
  Vector vector;
  if (largest <= 0) return vector;
  for (std::size_t k = 0; k < kDimensions; ++k) {
    vector.values[k] = static_cast<std::int8_t>(std::lround(sum[k] * (kValueMax / largest)));
  }
  vector.scale = largest / kValueMax / std::sqrt(squares);
  return vector;
}

void VectorField::add(DocId doc, const Vector& vector) {
  CELLAR_CHECK(doc >= scales_.size());
  scales_.resize(doc + 1);
  values_.resize((scales_.size() - saved_count_) * kDimensions);
  scales_[doc] = vector.scale;
  std::copy(vector.values.begin(), vector.values.end(), values_.end() - kDimensions);
}

Vector VectorField::get(DocId doc) const noexcept {
  Vector vector;
  std::copy_n(values_of(doc), kDimensions, vector.values.begin());
  vector.scale = scales_[doc];
  return vector;
}

std::vector<VectorField::Near> VectorField::nearest(const Vector& query, std::size_t count,
                                                    float cosine_min,
                                                    const Wanted& is_wanted) const {
  constexpr std::size_t kBlock = 512;
  std::array<std::int32_t, kBlock> dots;
  std::vector<Near> best;  // A heap whose first is the least near.
  if (query.scale <= 0 || count == 0) return best;
  std::size_t size = 0;
  for (DocId begin = 0; begin < scales_.size(); begin += static_cast<DocId>(size)) {
    const std::size_t end = begin < saved_count_ ? saved_count_ : scales_.size();
    size = std::min(kBlock, end - begin);
    dot_products(instructions_, query.values.data(), values_of(begin), size, dots.data());
    for (std::size_t i = 0; i < size; ++i) {
      const float cosine = static_cast<float>(dots[i]) * query.scale * scales_[begin + i];
      const Near near{static_cast<DocId>(begin + i), cosine};
      if (cosine < cosine_min || (best.size() == count && !is_nearer(near, best.front()))) continue;
      if (!is_wanted(near.doc)) continue;
      if (best.size() == count) {
        std::pop_heap(best.begin(), best.end(), is_nearer);
        best.pop_back();
      }
      best.push_back(near);
      std::push_heap(best.begin(), best.end(), is_nearer);
    }
  }
  std::sort_heap(best.begin(), best.end(), is_nearer);
  return best;
}

void VectorField::compact(const std::vector<DocId>& docs, std::size_t count) {
  std::vector<std::int8_t> values(count * kDimensions);
  std::vector<float> scales(count);
  for (DocId doc = 0; doc < scales_.size(); ++doc) {
    if (scales_[doc] == 0) continue;
    scales[docs[doc]] = scales_[doc];
    std::copy_n(values_of(doc), kDimensions,
                values.begin() + static_cast<std::ptrdiff_t>(docs[doc] * kDimensions));
  }
  saved_values_ = {};
  saved_count_ = 0;
  values_ = std::move(values);
  scales_ = std::move(scales);
}

std::size_t VectorField::memory_bytes() const noexcept {
  return values_.capacity() + scales_.capacity() * sizeof(float);
}

void VectorField::save(SnapshotWriter& out) const {
  out.list(scales_);
  out.begin_text(saved_values_.size() + values_.size());
  out.add(saved_values_);
  out.add({reinterpret_cast<const char*>(values_.data()), values_.size()});
}

void VectorField::load(SnapshotReader& in, std::size_t count) {
  scales_ = in.list<float>();
  saved_values_ = in.text();
  saved_count_ = count;
  in.require(scales_.size() == count && saved_values_.size() == count * kDimensions, "the vectors");
  // One that is no number is refused, too.
  const auto fits = [](float scale) { return scale >= 0 && scale <= 1; };
  in.require(std::all_of(scales_.begin(), scales_.end(), fits), "a vector's scale");
}

}  // namespace cellar::search
