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
  values_.resize(scales_.size() * kDimensions);
  scales_[doc] = vector.scale;
  std::copy(vector.values.begin(), vector.values.end(), values_.end() - kDimensions);
}

std::vector<VectorField::Near> VectorField::nearest(const Vector& query, std::size_t count,
                                                    float cosine_min,
                                                    const Wanted& is_wanted) const {
  constexpr std::size_t kBlock = 512;
  std::array<std::int32_t, kBlock> dots;
  std::vector<Near> best;  // A heap whose first is the least near.
  if (query.scale <= 0 || count == 0) return best;
  for (std::size_t begin = 0; begin < scales_.size(); begin += kBlock) {
    const std::size_t size = std::min(kBlock, scales_.size() - begin);
    dot_products(instructions_, query.values.data(), values_.data() + begin * kDimensions, size,
                 dots.data());
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
    std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(doc * kDimensions), kDimensions,
                values.begin() + static_cast<std::ptrdiff_t>(docs[doc] * kDimensions));
  }
  values_ = std::move(values);
  scales_ = std::move(scales);
}

std::size_t VectorField::memory_bytes() const noexcept {
  return values_.capacity() + scales_.capacity() * sizeof(float);
}

}  // namespace cellar::search
