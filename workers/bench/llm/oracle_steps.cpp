// Attention, scores and evictions of the oracle, one query after another, for each head apart.
// The same steps as `_Masks` in oracle.py, over the list of the positions that a head holds.
// Plain C interface, built at first use; no code of cuda/kernels is shared.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

struct Arm {  // As in oracle_native.py.
  int32_t victim, capacity, recent, prompt, chunk, window, pool;
  float decay;
};
enum Victim { kNone, kAge, kSum, kMean, kDecay, kLast };

static bool forgets(const Arm& arm, int t) {
  if (!arm.window || t >= arm.prompt) return false;
  int start = arm.chunk ? t - t % arm.chunk : 0;
  int end = arm.chunk ? std::min(start + arm.chunk, arm.prompt) : arm.prompt;
  return t == std::max(start, end - arm.window);
}

static bool evicts(const Arm& arm, int t) {
  if (arm.victim == kNone) return false;
  return t >= arm.prompt - 1 || (arm.chunk > 0 && (t + 1) % arm.chunk == 0);
}

static float rank_of(const Arm& arm, const uint8_t* fixed, int position, float score, float newest,
                     int t) {
  if (fixed[position] || position > t - arm.recent) return std::numeric_limits<float>::infinity();
  switch (arm.victim) {
    case kAge: return static_cast<float>(position);
    case kMean: return score / static_cast<float>(t - position + 1);
    case kLast: return newest;
    default: return score;
  }
}

// logits [heads, group, queries, columns] become attention; scores, left and held are
// [heads, tokens]; held lists `count` positions of each head, ascending. fixed is [arms, tokens].
extern "C" __attribute__((visibility("default"))) void oracle_steps(
    const Arm* arms, const uint8_t* fixed, float* logits, float* scores, int32_t* left,
    int32_t* held, int32_t* count, int32_t arm_count, int32_t heads_per_arm, int32_t group,
    int32_t first, int32_t columns, int32_t tokens) {
  const int queries = columns - first;
  std::vector<float> newest(tokens), weights(tokens), ranks(tokens), old(tokens);
  std::vector<int> order(tokens);
  for (int head = 0; head < arm_count * heads_per_arm; head++) {
    const Arm& arm = arms[head / heads_per_arm];
    const uint8_t* kept = fixed + static_cast<size_t>(head / heads_per_arm) * tokens;
    float* score = scores + static_cast<size_t>(head) * tokens;
    int32_t* gone = left + static_cast<size_t>(head) * tokens;
    int32_t* at = held + static_cast<size_t>(head) * tokens;
    for (int t = first; t < columns; t++) {
      int n = count[head];
      at[n++] = t;
      const bool fresh = forgets(arm, t);
      for (int i = 0; i < n; i++) {
        score[at[i]] = fresh ? 0.0f : score[at[i]] * arm.decay;
        newest[i] = 0;
      }
      for (int g = 0; g < group; g++) {
        float* row = logits + ((static_cast<size_t>(head) * group + g) * queries + t - first) * columns;
        float greatest = -std::numeric_limits<float>::infinity(), sum = 0;
        for (int i = 0; i < n; i++) greatest = std::max(greatest, weights[i] = row[at[i]]);
        for (int i = 0; i < n; i++) weights[i] = std::exp(weights[i] - greatest);
        for (int i = 0; i < n; i++) sum += weights[i];
        std::memset(row, 0, sizeof(float) * columns);
        for (int i = 0; i < n; i++) newest[i] += row[at[i]] = weights[i] / sum;
      }
      for (int i = 0; i < n; i++) score[at[i]] += newest[i];
      if (arm.pool > 1 && t == arm.prompt - 1) {
        for (int i = 0; i < n; i++) old[i] = score[at[i]];
        for (int i = 0; i < n; i++) {
          float sum = 0;
          for (int j = std::max(0, i - arm.pool / 2); j <= std::min(n - 1, i + arm.pool / 2); j++)
            sum += old[j];
          score[at[i]] = sum / arm.pool;
        }
      }
      if (evicts(arm, t) && n >= arm.capacity) {
        const int excess = n - arm.capacity + 1;
        for (int i = 0; i < n; i++) {
          ranks[i] = rank_of(arm, kept, at[i], score[at[i]], newest[i], t);
          order[i] = i;
        }
        // Ties: the oldest goes.
        std::partial_sort(order.begin(), order.begin() + excess, order.begin() + n,
                          [&](int a, int b) { return ranks[a] < ranks[b] || (ranks[a] == ranks[b] && a < b); });
        for (int i = 0; i < excess; i++) gone[at[order[i]]] = t;
        int remaining = 0;
        for (int i = 0; i < n; i++)
          if (gone[at[i]] == tokens) at[remaining++] = at[i];
        n = remaining;
      }
      count[head] = n;
    }
  }
}
