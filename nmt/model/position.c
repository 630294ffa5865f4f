/* The steps of a decoder position besides products and cells. Like those they are run by `loop` (loop.c); the
   first field of every struct is the number of rows R. A row does not depend on other rows. Position t is read by
   the attention only: training has all positions in memory, a search one. */

#include <string.h>

/* out_r = from_r: the token's vector, or the state of the hypothesis that row r continues. */
struct gather {
    int64_t R, size;
    const number *const *from;
    number *out;
    int64_t out_row;
};

void gather(int64_t t, const struct gather *g) {
    for (int64_t r = 0; r < g->R; r++)
        for (int64_t j = 0; j < g->size; j++) g->out[r * g->out_row + j] = g->from[r][j];
}

/* An encoded sentence: keys [S, A], values [S, C]. */
struct sentence {
    const number *keys, *values;
    int64_t S;
};

/* Row r attends to its sentence with n heads, each with its share of the columns of q, keys and values:
   e_s = q·k_s, or vᵀ tanh(q + k_s) if there is a v; α = softmax(e); context = Σ_s α_s value_s.
   The weights are the mean of α over the heads; e is written to a row of `scores`, which are the weights if n = 1. */
struct attention {
    int64_t R, A, C, n;
    number *query;
    int64_t query_time, query_row;
    const number *v;
    const struct sentence *const *sentences;
    number *weights, *scores;
    int64_t weights_time, weights_row;
    number *context;
    int64_t context_time, context_row;
};

static void attend_row(const struct attention *a, int64_t head, const number *q, const struct sentence *s,
                       number *e, number *weights, number *context) {
    int64_t S = s->S, A = a->A / a->n, C = a->C / a->n;
    number top = -INFINITY, sum = 0;
    for (int64_t i = 0; i < S; i++) {
        const number *k = s->keys + i * a->A + head * A;
        number dot = 0;
        if (a->v) {
            #pragma omp simd reduction(+:dot)
            for (int64_t j = 0; j < A; j++) dot += a->v[j] * tanh_(q[j] + k[j]);
        } else {
            #pragma omp simd reduction(+:dot)
            for (int64_t j = 0; j < A; j++) dot += q[j] * k[j];
        }
        e[i] = dot;
        top = dot > top ? dot : top;
    }
    for (int64_t i = 0; i < S; i++) sum += e[i] = exp_(e[i] - top);
    for (int64_t j = 0; j < C; j++) context[j] = 0;
    for (int64_t i = 0; i < S; i++) {
        const number *value = s->values + i * a->C + head * C, share = e[i] / sum;
        weights[i] = (head ? weights[i] : 0) + share / a->n;
        #pragma omp simd
        for (int64_t j = 0; j < C; j++) context[j] += share * value[j];
    }
}

void attend(int64_t t, const struct attention *a) {
    #pragma omp parallel for if (a->R > 16)
    for (int64_t r = 0; r < a->R; r++) {
        int64_t weights = t * a->weights_time + r * a->weights_row;
        for (int64_t head = 0; head < a->n; head++)
            attend_row(
                a, head, a->query + t * a->query_time + r * a->query_row + head * (a->A / a->n), a->sentences[r],
                a->scores + weights, a->weights + weights,
                a->context + t * a->context_time + r * a->context_row + head * (a->C / a->n)
            );
    }
}

/* The derivative of `attend` with one head and without v. Gradients take the place of query, scores and context:
   dα_s = dcontext·value_s, de_s = α_s (dα_s - Σ_i α_i dα_i), and Σ_s de_s k_s is added to dq. */
void attend_backward(int64_t t, const struct attention *a) {
    #pragma omp parallel for if (a->R > 16)
    for (int64_t r = 0; r < a->R; r++) {
        const struct sentence *s = a->sentences[r];
        int64_t first = t * a->weights_time + r * a->weights_row;
        const number *weights = a->weights + first, *context = a->context + t * a->context_time + r * a->context_row;
        number *e = a->scores + first, *q = a->query + t * a->query_time + r * a->query_row, mean = 0;
        for (int64_t i = 0; i < s->S; i++) {
            const number *value = s->values + i * a->C;
            number dot = 0;
            #pragma omp simd reduction(+:dot)
            for (int64_t j = 0; j < a->C; j++) dot += context[j] * value[j];
            e[i] = dot;
            mean += weights[i] * dot;
        }
        for (int64_t i = 0; i < s->S; i++) {
            const number *k = s->keys + i * a->A, de = weights[i] * (e[i] - mean);
            e[i] = de;
            #pragma omp simd
            for (int64_t j = 0; j < a->A; j++) q[j] += de * k[j];
        }
    }
}

/* The k best of each row: their log probabilities z_v - log Σ_w exp z_w and tokens, best first; ties by token. A
   row with NaN gives NaN. Logits come in blocks of N columns, `first` to `first + N` of V; those of a block are
   forgotten after it, apart from the best so far, and top and sum with Σ exp z = sum exp(top). */
struct best {
    int64_t R, N, first, V, k;
    const number *logits;
    int64_t logits_row;
    number *values;
    int64_t *tokens;
    number *top, *sum;
};

enum { STRIP = 64 }; /* logits that are searched only if the highest of them is among the best */

/* Row r's best among z, which are up to BLOCK logits of the tokens from `first` on. */
static void best_row(const struct best *b, int64_t r, int64_t first, int64_t N, int is_last, const number *z) {
    number *value = b->values + r * b->k, *top = b->top + r, *sum = b->sum + r;
    int64_t *token = b->tokens + r * b->k, k = b->k, found = first < k ? first : k;
    number highest = first ? *top : -INFINITY, total = 0, peaks[BLOCK / STRIP];
    for (int64_t i = 0; i * STRIP < N; i++) {
        number peak = -INFINITY;
        int64_t stop = (i + 1) * STRIP < N ? (i + 1) * STRIP : N;
        #pragma omp simd reduction(max:peak)
        for (int64_t v = i * STRIP; v < stop; v++) peak = z[v] > peak ? z[v] : peak;
        peaks[i] = peak;
        highest = peak > highest ? peak : highest;
    }
    #pragma omp simd reduction(+:total)
    for (int64_t v = 0; v < N; v++) total += exp_(z[v] - highest);
    *sum = total + (first ? *sum * exp_(*top - highest) : 0);
    *top = highest;
    for (int64_t strip = 0; strip * STRIP < N; strip++) {
        if (found == k && !(peaks[strip] > value[k - 1])) continue;
        for (int64_t v = strip * STRIP; v < N && v < (strip + 1) * STRIP; v++) {
            if (found == k && !(z[v] > value[k - 1])) continue;
            int64_t i = found < k ? found++ : k - 1;
            for (; i > 0 && z[v] > value[i - 1]; i--) value[i] = value[i - 1], token[i] = token[i - 1];
            value[i] = z[v], token[i] = first + v;
        }
    }
    if (is_last)
        for (int64_t i = 0; i < found; i++) value[i] -= *top + (number)log(*sum);
}

void best(int64_t t, const struct best *b) {
    #pragma omp parallel for if (b->R > 16)
    for (int64_t r = 0; r < b->R; r++)
        best_row(b, r, b->first, b->N, b->first + b->N == b->V, b->logits + r * b->logits_row);
}

/* The tokens that a translation may contain, ascending. */
struct list {
    const int64_t *tokens;
    int64_t N;
};

/* The number of tokens of a list that are lower than `limit`. */
static int64_t count_lower(const struct list *list, int64_t limit) {
    int64_t low = 0, high = list->N;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (list->tokens[middle] < limit) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The same among the tokens of each row's list, whose logits are in the columns column[token], or without `column`
   in token - first. They are summed by blocks of the vocabulary, whichever tokens have columns. Tokens that are
   not on it follow with -infinity. */
struct best_listed {
    struct best best;
    const struct list *const *lists;
    const int64_t *column;
};

void best_listed(int64_t t, const struct best_listed *l) {
    const struct best *b = &l->best;
    #pragma omp parallel for if (b->R > 16)
    for (int64_t r = 0; r < b->R; r++) {
        const struct list *list = l->lists[r];
        const number *logits = b->logits + r * b->logits_row;
        int64_t N = list->N, end = b->first + b->N, *token = b->tokens + r * b->k, found = N < b->k ? N : b->k;
        for (int64_t i = count_lower(list, b->first), n; i < N && list->tokens[i] < end; i += n) {
            number z[BLOCK];
            const int64_t *tokens = list->tokens + i;
            n = count_lower(list, (tokens[0] / BLOCK + 1) * BLOCK) - i;
            if (l->column)
                #pragma omp simd
                for (int64_t j = 0; j < n; j++) z[j] = logits[l->column[tokens[j]]];
            else
                #pragma omp simd
                for (int64_t j = 0; j < n; j++) z[j] = logits[tokens[j] - b->first];
            best_row(b, r, i, n, i + n == N, z);
        }
        if (end < b->V) continue;
        for (int64_t i = 0; i < found; i++) token[i] = list->tokens[token[i]];
        for (int64_t lacking = 0, v = 0; found < b->k; lacking++)
            if (v < N && list->tokens[v] == lacking) v++;
            else b->values[r * b->k + found] = -INFINITY, token[found++] = lacking;
    }
}

/* One position of beam search. Of each group of rows (those of a sentence, adjacent) the `width` continuations
   with the highest total + log probability are kept, best first; of equal ones the lower row, then the better
   token. Tokens whose bit of `never` is set and those of -infinity are not continuations. What is kept follows in
   the arrays, and the pointers of the next position are set: tokens, states, sentences, shortlists.

   `stop` is EVENT if the caller has something to do: a hypothesis ended with more than `needed` of its group, no
   live one of a group has more than `floor`, or a token's vector is missing. Without an event those that ended
   are dropped. It is REFUSED if a group has NaN, a copy symbol among those tokens, or no
   continuation; then nothing has changed. */
struct select_beams {
    int64_t R, k, width, never, eos, first_symbol, last_symbol, t, positions; /* t: of so many positions */
    const number *values; /* [R, k] of `best` ... */
    const int64_t *tokens;   /* ... and their tokens */
    int64_t N, *kept;        /* [positions + 1, 3, N]: tokens, parents and groups before and after each position */
    double *scores;       /* [positions + 1, 2, N]: log probabilities and totals */
    const double *needed, *floor; /* [G, positions], [G] */
    int64_t *count, stop; /* [positions + 1]: rows before and after each position */
    const char *table, *is_cached;
    int64_t table_row, state_size;
    const number *state;
    number *previous; /* where the states of the R rows are copied */
    const void **pointers[4];
    const void *const *sentences, *const *lists; /* [G]; lists: NULL without shortlists */
};
enum { EVENT = 1, REFUSED = 2 };

void select_beams(int64_t ignored, struct select_beams *x) {
    int64_t t = x->t, N = x->N, found = 0, event = 0;
    const int64_t *groups = x->kept + (3 * t + 2) * N;
    const double *totals = x->scores + (2 * t + 1) * N;
    int64_t *token = x->kept + 3 * (t + 1) * N, *parent = token + N, *group = parent + N;
    double *value = x->scores + 2 * (t + 1) * N, *total = value + N;
    x->stop = REFUSED;
    for (int64_t r = 0, g, first; r < x->R;) {
        for (g = groups[r], first = found; r < x->R && groups[r] == g; r++)
            for (int64_t c = r * x->k; c < (r + 1) * x->k; c++) {
                double z = x->values[c], sum = totals[r] + z;
                if (x->tokens[c] < 64 && x->never >> x->tokens[c] & 1) continue;
                if (z != z || (x->first_symbol <= x->tokens[c] && x->tokens[c] < x->last_symbol)) return;
                if (z == -INFINITY || (found - first == x->width && !(sum > total[found - 1]))) break;
                int64_t i = found - first < x->width ? found++ : found - 1;
                for (; i > first && sum > total[i - 1]; i--)
                    token[i] = token[i - 1], parent[i] = parent[i - 1],
                    value[i] = value[i - 1], total[i] = total[i - 1];
                token[i] = x->tokens[c], parent[i] = r, value[i] = z, total[i] = sum;
            }
        int64_t is_open = 0;
        for (int64_t i = first; i < found; i++) {
            group[i] = g;
            if (token[i] != x->eos) is_open |= total[i] > x->floor[g];
            else event |= total[i] > x->needed[g * x->positions + t];
        }
        if (found == first) return;
        event |= !is_open;
    }
    for (int64_t r = 0; r < x->R; r++)
        memcpy(x->previous + r * x->state_size, x->state + r * x->state_size, sizeof(number) * x->state_size);
    int64_t kept = 0;
    for (int64_t i = 0; i < found; i++) {
        if (token[i] == x->eos && !event) continue;
        int64_t r = kept++;
        token[r] = token[i], parent[r] = parent[i], group[r] = group[i], value[r] = value[i], total[r] = total[i];
        x->pointers[0][r] = x->table + token[r] * x->table_row;
        x->pointers[1][r] = x->previous + parent[r] * x->state_size;
        x->pointers[2][r] = x->sentences[group[r]];
        if (x->lists) x->pointers[3][r] = x->lists[group[r]];
    }
    for (int64_t r = 0; r < kept; r++) event |= !x->is_cached[token[r]];
    x->count[t + 1] = kept, x->stop = event;
}

struct step {
    void (*run)(int64_t t, const void *arguments);
    int64_t *rows; /* the first of its arguments */
};

/* Run positions, each of them these steps, until one stops. */
void search(int64_t count, const struct step *steps, struct select_beams *x) {
    for (x->t = x->stop = 0; !x->stop && x->t < x->positions; x->t++)
        for (int64_t s = 0; s < count; s++) {
            *steps[s].rows = x->count[x->t];
            steps[s].run(0, steps[s].rows);
        }
}
