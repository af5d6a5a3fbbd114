// Trains the embedding of code search: comments and the code below them shall point the same way.
//
// Usage: codevec_train FOLDER [--NAME VALUE]... FOLDER holds what prepare.py wrote; the model is
// written to FOLDER/rows.f32: for each word of the vocabulary its row, times its weight, as
// little-endian floats. The same input, options and machine give the same bytes, whatever the
// number of threads.
//
// A text is the mean of its words' rows, each with a weight that is learned, too, brought to length
// 1. Of a batch of pairs each comment shall be nearest to its own code, and each code to its own
// comment (symmetric InfoNCE); the gradient is applied by Adam to the words that occurred.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// One rounding more or less would make another model.
#pragma STDC FP_CONTRACT OFF

namespace {

using Floats = std::vector<float>;
using WordId = std::uint32_t;

struct Options {
  std::map<std::string, float> values = {
      {"dimensions", 128},
      {"batch", 1024},
      {"epochs", 3},
      {"rate", .02F},
      {"temperature", .05F},
      // The share of the words that a comment has in common with its code that the code loses: what
      // is left must be enough, so that the model learns more than equality.
      {"dropout", .5F},
      {"frequency", 1e-3F},  // Words more frequent than this begin with less weight.
      {"seed", 7}};

  float operator[](const std::string& name) const { return values.at(name); }
  std::size_t count(const std::string& name) const {
    return static_cast<std::size_t>(values.at(name));
  }
};

struct Pair {
  std::vector<WordId> comment;
  std::vector<WordId> code;
};

std::vector<Pair> read_pairs(const std::string& path, std::size_t word_count) {
  std::ifstream file(path, std::ios::binary);
  std::vector<Pair> pairs;
  std::uint32_t sizes[2];
  while (file.read(reinterpret_cast<char*>(sizes), sizeof sizes)) {
    Pair pair;
    for (auto* words : {&pair.comment, &pair.code}) {
      const std::uint32_t size = sizes[words == &pair.code ? 1 : 0];
      if (size == 0 || size > (1 << 16)) throw std::runtime_error(path + " is damaged");
      words->resize(size);
      file.read(reinterpret_cast<char*>(words->data()),
                static_cast<std::streamsize>(size * sizeof(WordId)));
      for (const WordId word : *words) {
        if (!file || word >= word_count) throw std::runtime_error(path + " is damaged");
      }
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

std::size_t count_lines(const std::string& path) {
  std::ifstream file(path);
  std::size_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

// Calls `job(begin, end)` for parts of [0, count) on all processors.
template <typename Job>
void in_parallel(std::size_t count, const Job& job) {
  const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t part = (count + threads - 1) / threads;
  std::vector<std::jthread> running;
  for (std::size_t begin = 0; begin < count; begin += part) {
    running.emplace_back([&job, begin, end = std::min(begin + part, count)] { job(begin, end); });
  }
}

// out[i] = Σ_k left[i][k] · right[k], for rows of `width` numbers. Each sum is taken in the order
// of k, so that the result is that of one thread.
void multiply(const Floats& left, const Floats& right, Floats& out, std::size_t rows,
              std::size_t inner, std::size_t width) {
  in_parallel(rows, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      float* sum = &out[i * width];
      std::fill_n(sum, width, 0.0F);
      for (std::size_t k = 0; k < inner; ++k) {
        const float factor = left[i * inner + k];
        const float* row = &right[k * width];
        for (std::size_t j = 0; j < width; ++j) sum[j] += factor * row[j];
      }
    }
  });
}

Floats transposed(const Floats& matrix, std::size_t rows, std::size_t columns) {
  Floats out(matrix.size());
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) out[j * rows + i] = matrix[i * columns + j];
  }
  return out;
}

// One side of a batch: texts as vectors of length 1, and what is needed for the way back.
struct Side {
  Side(std::size_t batch, std::size_t dimensions)
      : words(batch), vectors(batch * dimensions), lengths(batch), weights(batch) {}

  std::vector<std::vector<WordId>> words;
  Floats vectors;
  Floats lengths;  // Of the means, before they were brought to 1.
  Floats weights;  // Sums of the words' weights.
};

class Trainer {
 public:
  Trainer(const Options& options, const std::vector<Pair>& pairs, std::size_t word_count)
      : options_(options),
        pairs_(pairs),
        word_count_(word_count),
        dimensions_(options.count("dimensions")),
        batch_(options.count("batch")),
        random_(static_cast<std::mt19937::result_type>(options.count("seed"))),
        rows_(word_count * dimensions_),
        row_gradients_(rows_.size()),
        row_means_(rows_.size()),
        row_squares_(rows_.size()),
        log_weights_(word_count),
        weight_gradients_(word_count),
        weight_means_(word_count),
        weight_squares_(word_count),
        touched_(word_count) {
    std::normal_distribution<float> normal;
    for (float& value : rows_) value = normal(random_) / 2;
    std::vector<double> counts(word_count);
    double total = 0;
    for (const Pair& pair : pairs) {
      for (const WordId word : pair.comment) ++counts[word];
      for (const WordId word : pair.code) ++counts[word];
      total += static_cast<double>(pair.comment.size() + pair.code.size());
    }
    const float frequency = options["frequency"];
    for (std::size_t word = 0; word < word_count; ++word) {
      const auto share = static_cast<float>(counts[word] / total);
      log_weights_[word] = std::log(frequency / (frequency + share) + 1e-6F);
    }
  }

  // Trains on all pairs but the last few, which are held out.
  void train() {
    constexpr std::size_t kHeldOutMax = 4096;
    const std::size_t held_out = std::min(pairs_.size() / 50 + 1, kHeldOutMax);
    if (pairs_.size() < held_out + batch_) throw std::runtime_error("fewer pairs than one batch");
    const std::size_t used = pairs_.size() - held_out;
    std::vector<std::size_t> order(used);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const std::size_t steps = used / batch_ * options_.count("epochs");
    std::size_t step = 0;
    for (std::size_t epoch = 0; epoch < options_.count("epochs"); ++epoch) {
      std::shuffle(order.begin(), order.end(), random_);
      double loss = 0;
      for (std::size_t at = 0; at + batch_ <= used; at += batch_, ++step) {
        loss += take_step(&order[at], rate_at(step, steps));
      }
      std::printf("epoch %zu: loss %.4f, held-out MRR %.4f\n", epoch + 1,
                  loss / static_cast<double>(used / batch_), mean_reciprocal_rank(held_out));
      std::fflush(stdout);
    }
  }

  void write(const std::string& path) const {
    std::ofstream file(path, std::ios::binary);
    for (std::size_t word = 0; word < word_count_; ++word) {
      const float weight = std::exp(log_weights_[word]);
      for (std::size_t k = 0; k < dimensions_; ++k) {
        const float value = rows_[word * dimensions_ + k] * weight;
        file.write(reinterpret_cast<const char*>(&value), sizeof value);
      }
    }
    if (!file.flush()) throw std::runtime_error("could not write " + path);
  }

 private:
  // Up for the first twentieth, then straight down to 0.
  float rate_at(std::size_t step, std::size_t steps) const {
    const float at = static_cast<float>(step) / static_cast<float>(steps);
    constexpr float kWarm = .05F;
    return options_["rate"] * (at < kWarm ? at / kWarm : (1 - at) / (1 - kWarm));
  }

  double take_step(const std::size_t* chosen, float rate) {
    Side comments(batch_, dimensions_);
    Side codes(batch_, dimensions_);
    const auto seed = static_cast<std::uint32_t>(random_());
    in_parallel(batch_, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        const Pair& pair = pairs_[chosen[i]];
        comments.words[i] = pair.comment;
        codes.words[i] = drop_common(pair, seed + static_cast<std::uint32_t>(i) * 7919);
        embed(comments, i);
        embed(codes, i);
      }
    });
    Floats gradients(batch_ * batch_);
    const double loss = compare(comments, codes, gradients);
    Floats to_comments(comments.vectors.size());
    Floats to_codes(codes.vectors.size());
    multiply(gradients, codes.vectors, to_comments, batch_, batch_, dimensions_);
    multiply(transposed(gradients, batch_, batch_), comments.vectors, to_codes, batch_, batch_,
             dimensions_);
    for (std::size_t i = 0; i < batch_; ++i) {
      propagate(comments, i, &to_comments[i * dimensions_]);
      propagate(codes, i, &to_codes[i * dimensions_]);
    }
    apply(rate);
    return loss;
  }

  // The code's words, without some of those that the comment has, too; never none.
  std::vector<WordId> drop_common(const Pair& pair, std::uint32_t seed) const {
    std::minstd_rand random(seed);
    std::uniform_real_distribution<float> share;
    std::vector<WordId> common = pair.comment;
    std::sort(common.begin(), common.end());
    common.erase(std::unique(common.begin(), common.end()), common.end());
    std::erase_if(common, [&](WordId) { return share(random) >= options_["dropout"]; });
    std::vector<WordId> left;
    for (const WordId word : pair.code) {
      if (!std::binary_search(common.begin(), common.end(), word)) left.push_back(word);
    }
    if (left.empty()) left.push_back(pair.code.front());
    return left;
  }

  void embed(Side& side, std::size_t i) const {
    float* vector = &side.vectors[i * dimensions_];
    float weights = 0;
    for (const WordId word : side.words[i]) {
      const float weight = std::exp(log_weights_[word]);
      weights += weight;
      const float* row = &rows_[word * dimensions_];
      for (std::size_t k = 0; k < dimensions_; ++k) vector[k] += weight * row[k];
    }
    side.weights[i] = std::max(weights, 1e-9F);
    float squares = 0;
    for (std::size_t k = 0; k < dimensions_; ++k) {
      vector[k] /= side.weights[i];
      squares += vector[k] * vector[k];
    }
    side.lengths[i] = std::sqrt(squares) + 1e-9F;
    for (std::size_t k = 0; k < dimensions_; ++k) vector[k] /= side.lengths[i];
  }

  // The loss, and its gradient by each of the batch's similarities.
  double compare(const Side& comments, const Side& codes, Floats& gradients) const {
    const float temperature = options_["temperature"];
    Floats scores(batch_ * batch_);
    multiply(comments.vectors, transposed(codes.vectors, batch_, dimensions_), scores, batch_,
             dimensions_, batch_);
    for (float& score : scores) score /= temperature;
    const Floats by_comment = shares(scores);
    const Floats by_code = transposed(shares(transposed(scores, batch_, batch_)), batch_, batch_);
    double loss = 0;
    for (std::size_t i = 0; i < batch_; ++i) {
      const std::size_t own = i * batch_ + i;
      loss -= (std::log(static_cast<double>(by_comment[own]) + 1e-30) +
               std::log(static_cast<double>(by_code[own]) + 1e-30)) /
              2;
      for (std::size_t j = 0; j < batch_; ++j) {
        const std::size_t at = i * batch_ + j;
        const float wanted = i == j ? 1 : 0;
        gradients[at] = ((by_comment[at] + by_code[at]) / 2 - wanted) /
                        (temperature * static_cast<float>(batch_));
      }
    }
    return loss / static_cast<double>(batch_);
  }

  // Softmax of each row.
  Floats shares(Floats scores) const {
    in_parallel(batch_, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        float* row = &scores[i * batch_];
        const float largest = *std::max_element(row, row + batch_);
        float sum = 0;
        for (std::size_t j = 0; j < batch_; ++j) sum += row[j] = std::exp(row[j] - largest);
        for (std::size_t j = 0; j < batch_; ++j) row[j] /= sum;
      }
    });
    return scores;
  }

  // From the gradient by a text's vector to those by its words' rows and weights.
  void propagate(const Side& side, std::size_t i, float* gradient) {
    const float* vector = &side.vectors[i * dimensions_];
    float along = 0;
    for (std::size_t k = 0; k < dimensions_; ++k) along += vector[k] * gradient[k];
    float by_mean = 0;
    for (std::size_t k = 0; k < dimensions_; ++k) {
      gradient[k] = (gradient[k] - along * vector[k]) / side.lengths[i];
      by_mean += gradient[k] * vector[k] * side.lengths[i];
    }
    for (const WordId word : side.words[i]) {
      const float share = std::exp(log_weights_[word]) / side.weights[i];
      const float* row = &rows_[word * dimensions_];
      float* row_gradient = &row_gradients_[word * dimensions_];
      float by_row = 0;
      for (std::size_t k = 0; k < dimensions_; ++k) {
        row_gradient[k] += share * gradient[k];
        by_row += gradient[k] * row[k];
      }
      weight_gradients_[word] += share * (by_row - by_mean);
      touched_[word] = 1;
    }
  }

  // Adam, for the words that were touched.
  void apply(float rate) {
    constexpr float kWeightsRate = .3F;
    const auto adapt = [](float& value, float& gradient, float& mean, float& square, float step) {
      constexpr float kMeanDecay = .9F;
      constexpr float kSquareDecay = .99F;
      mean = kMeanDecay * mean + (1 - kMeanDecay) * gradient;
      square = kSquareDecay * square + (1 - kSquareDecay) * gradient * gradient;
      value -= step * mean / (std::sqrt(square) + 1e-7F);
      gradient = 0;
    };
    in_parallel(word_count_, [&](std::size_t begin, std::size_t end) {
      for (std::size_t word = begin; word < end; ++word) {
        if (touched_[word] == 0) continue;
        touched_[word] = 0;
        for (std::size_t at = word * dimensions_; at < (word + 1) * dimensions_; ++at) {
          adapt(rows_[at], row_gradients_[at], row_means_[at], row_squares_[at], rate);
        }
        adapt(log_weights_[word], weight_gradients_[word], weight_means_[word],
              weight_squares_[word], rate * kWeightsRate);
      }
    });
  }

  // Of the last `count` pairs, at most 1024 of them: 1 / the rank of each comment's own code.
  double mean_reciprocal_rank(std::size_t count) const {
    count = std::min<std::size_t>(count, 1024);
    Side comments(count, dimensions_);
    Side codes(count, dimensions_);
    for (std::size_t i = 0; i < count; ++i) {
      const Pair& pair = pairs_[pairs_.size() - 1 - i];
      comments.words[i] = pair.comment;
      codes.words[i] = pair.code;
      embed(comments, i);
      embed(codes, i);
    }
    Floats scores(count * count);
    multiply(comments.vectors, transposed(codes.vectors, count, dimensions_), scores, count,
             dimensions_, count);
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const float* row = &scores[i * count];
      const float own = row[i];
      sum += 1.0 / static_cast<double>(
                       1 + std::count_if(row, row + count, [&](float s) { return s > own; }));
    }
    return sum / static_cast<double>(count);
  }

  const Options& options_;
  const std::vector<Pair>& pairs_;
  std::size_t word_count_;
  std::size_t dimensions_;
  std::size_t batch_;
  std::mt19937 random_;
  Floats rows_, row_gradients_, row_means_, row_squares_;
  Floats log_weights_, weight_gradients_, weight_means_, weight_squares_;
  std::vector<std::uint8_t> touched_;
};

Options read_options(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 1; i < arguments.size(); i += 2) {
    const std::string name = arguments[i].substr(0, 2) == "--" ? arguments[i].substr(2) : "";
    std::size_t read = 0;
    if (i + 1 == arguments.size() || !options.values.contains(name)) {
      throw std::invalid_argument("no option: " + arguments[i]);
    }
    options.values[name] = std::stof(arguments[i + 1], &read);
    if (read != arguments[i + 1].size() || options.values[name] < 0) {
      throw std::invalid_argument("no number: " + arguments[i + 1]);
    }
  }
  for (const char* name : {"dimensions", "batch", "epochs"}) {
    if (options[name] < 1) throw std::invalid_argument(std::string("at least 1: --") + name);
  }
  return options;
}

void run(const std::vector<std::string>& arguments) {
  if (arguments.empty())
    throw std::invalid_argument("usage: codevec_train FOLDER [--NAME VALUE]...");
  const Options options = read_options(arguments);
  const std::size_t word_count = count_lines(arguments[0] + "/vocabulary.txt");
  const auto pairs = read_pairs(arguments[0] + "/pairs.bin", word_count);
  std::printf("%zu pairs, %zu words\n", pairs.size(), word_count);
  Trainer trainer(options, pairs, word_count);
  trainer.train();
  trainer.write(arguments[0] + "/rows.f32");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "codevec_train: %s\n", error.what());
    return 1;
  }
}
