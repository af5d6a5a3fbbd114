#include "search/dot.h"

#include "search/model.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cellar::search {
namespace {

void dot_plain(const std::int8_t* query, const std::int8_t* rows, std::size_t count,
               std::int32_t* out) noexcept {
  for (std::size_t i = 0; i < count; ++i, rows += kDimensions) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < kDimensions; ++k) sum += query[k] * rows[k];
    out[i] = sum;
  }
}

#if defined(__x86_64__)

// Both: widen to 16 bits, multiply, add pairs to 32 bits. Nothing can overflow: a pair is at most
// 2 · 127², and a lane sums few of them.
[[gnu::target("avx2")]] void dot_avx2(const std::int8_t* query, const std::int8_t* rows,
                                      std::size_t count, std::int32_t* out) noexcept {
  constexpr std::size_t kStep = 16;
  constexpr std::size_t kSteps = kDimensions / kStep;
  const auto load = [](const std::int8_t* at) __attribute__((target("avx2"))) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  };
  __m256i wide[kSteps];
  for (std::size_t k = 0; k < kSteps; ++k) wide[k] = load(query + k * kStep);
  for (std::size_t i = 0; i < count; ++i, rows += kDimensions) {
    __m256i sum = _mm256_setzero_si256();
    for (std::size_t k = 0; k < kSteps; ++k) {
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(wide[k], load(rows + k * kStep)));
    }
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_hadd_epi32(half, half);
    half = _mm_hadd_epi32(half, half);
    out[i] = _mm_cvtsi128_si32(half);
  }
}

[[gnu::target("avx512f,avx512bw")]] void dot_avx512(const std::int8_t* query,
                                                    const std::int8_t* rows, std::size_t count,
                                                    std::int32_t* out) noexcept {
  constexpr std::size_t kStep = 32;
  constexpr std::size_t kSteps = kDimensions / kStep;
  const auto load = [](const std::int8_t* at) __attribute__((target("avx512f,avx512bw"))) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  };
  __m512i wide[kSteps];
  for (std::size_t k = 0; k < kSteps; ++k) wide[k] = load(query + k * kStep);
  for (std::size_t i = 0; i < count; ++i, rows += kDimensions) {
    __m512i sum = _mm512_setzero_si512();
    for (std::size_t k = 0; k < kSteps; ++k) {
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(wide[k], load(rows + k * kStep)));
    }
    out[i] = _mm512_reduce_add_epi32(sum);
  }
}

#endif

}  // namespace

bool is_supported(Instructions instructions) noexcept {
  switch (instructions) {
    case Instructions::plain:
      return true;
#if defined(__x86_64__)
    case Instructions::avx2:
      return __builtin_cpu_supports("avx2") != 0;
    case Instructions::avx512:
      return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
#else
    default:
      return false;
#endif
  }
  return false;
}

Instructions best_instructions() noexcept {
  for (const Instructions instructions : {Instructions::avx512, Instructions::avx2}) {
    if (is_supported(instructions)) return instructions;
  }
  return Instructions::plain;
}

void dot_products(Instructions instructions, const std::int8_t* query, const std::int8_t* rows,
                  std::size_t count, std::int32_t* out) noexcept {
  switch (instructions) {
#if defined(__x86_64__)
    case Instructions::avx2:
      return dot_avx2(query, rows, count, out);
    case Instructions::avx512:
      return dot_avx512(query, rows, count, out);
#endif
    default:
      return dot_plain(query, rows, count, out);
  }
}

}  // namespace cellar::search
