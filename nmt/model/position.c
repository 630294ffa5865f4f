/* The steps of a decoder position besides products and cells. Like those they are run by `loop` (loop.c), which
   ignores t here; the first field of every struct is the number of rows R. A row does not depend on other rows. */

/* out_r = from_r: the token's vector, or the state of the hypothesis that row r continues. */
struct gather {
    long R, size;
    const number *const *from;
    number *out;
    long out_row;
};

void gather(long t, const struct gather *g) {
    for (long r = 0; r < g->R; r++)
        for (long j = 0; j < g->size; j++) g->out[r * g->out_row + j] = g->from[r][j];
}

/* An encoded sentence: keys [S, A], values [S, C]. */
struct sentence {
    const number *keys, *values;
    long S;
};

/* Row r attends to its sentence with n heads, each with its share of the columns of q, keys and values:
   e_s = q·k_s, or vᵀ tanh(q + k_s) if there is a v; α = softmax(e); context = Σ_s α_s value_s.
   The weights are the mean of α over the heads; e is written to a row of `scores`, which are the weights if n = 1. */
struct attention {
    long R, A, C, n;
    const number *query;
    long query_row;
    const number *v;
    const struct sentence *const *sentences;
    number *weights, *scores;
    long weights_row;
    number *context;
    long context_row;
};

static void attend_row(const struct attention *a, long head, const number *q, const struct sentence *s,
                       number *e, number *weights, number *context) {
    long S = s->S, A = a->A / a->n, C = a->C / a->n;
    number top = -INFINITY, sum = 0;
    for (long i = 0; i < S; i++) {
        const number *k = s->keys + i * a->A + head * A;
        number dot = 0;
        if (a->v) {
            #pragma omp simd reduction(+:dot)
            for (long j = 0; j < A; j++) dot += a->v[j] * tanh_(q[j] + k[j]);
        } else {
            #pragma omp simd reduction(+:dot)
            for (long j = 0; j < A; j++) dot += q[j] * k[j];
        }
        e[i] = dot;
        top = dot > top ? dot : top;
    }
    for (long i = 0; i < S; i++) sum += e[i] = exp_(e[i] - top);
    for (long j = 0; j < C; j++) context[j] = 0;
    for (long i = 0; i < S; i++) {
        const number *value = s->values + i * a->C + head * C, share = e[i] / sum;
        weights[i] = (head ? weights[i] : 0) + share / a->n;
        #pragma omp simd
        for (long j = 0; j < C; j++) context[j] += share * value[j];
    }
}

void attend(long t, const struct attention *a) {
    #pragma omp parallel for if (a->R > 16)
    for (long r = 0; r < a->R; r++) {
        for (long head = 0; head < a->n; head++)
            attend_row(
                a, head, a->query + r * a->query_row + head * (a->A / a->n), a->sentences[r],
                a->scores + r * a->weights_row, a->weights + r * a->weights_row, a->context + r * a->context_row + head * (a->C / a->n)
            );
    }
}

/* The k best of each row: their log probabilities z_v - log Σ_w exp z_w and tokens, best first; ties by token. A
   row with NaN gives NaN. Logits come in blocks of N columns, `first` to `first + N` of V; those of a block are
   forgotten after it, apart from the best so far, and top and sum with Σ exp z = sum exp(top). */
struct best {
    long R, N, first, V, k;
    const number *logits;
    long logits_row;
    number *values;
    long *tokens;
    number *top, *sum;
};

enum { STRIP = 64 }; /* logits that are searched only if the highest of them is among the best */

/* Row r's best among z, which are up to BLOCK logits of the tokens from `first` on. */
static void best_row(const struct best *b, long r, long first, long N, int is_last, const number *z) {
    number *value = b->values + r * b->k, *top = b->top + r, *sum = b->sum + r;
    long *token = b->tokens + r * b->k, k = b->k, found = first < k ? first : k;
    number highest = first ? *top : -INFINITY, total = 0, peaks[BLOCK / STRIP];
    for (long i = 0; i * STRIP < N; i++) {
        number peak = -INFINITY;
        long stop = (i + 1) * STRIP < N ? (i + 1) * STRIP : N;
        #pragma omp simd reduction(max:peak)
        for (long v = i * STRIP; v < stop; v++) peak = z[v] > peak ? z[v] : peak;
        peaks[i] = peak;
        highest = peak > highest ? peak : highest;
    }
    #pragma omp simd reduction(+:total)
    for (long v = 0; v < N; v++) total += exp_(z[v] - highest);
    *sum = total + (first ? *sum * exp_(*top - highest) : 0);
    *top = highest;
    for (long strip = 0; strip * STRIP < N; strip++) {
        if (found == k && !(peaks[strip] > value[k - 1])) continue;
        for (long v = strip * STRIP; v < N && v < (strip + 1) * STRIP; v++) {
            if (found == k && !(z[v] > value[k - 1])) continue;
            long i = found < k ? found++ : k - 1;
            for (; i > 0 && z[v] > value[i - 1]; i--) value[i] = value[i - 1], token[i] = token[i - 1];
            value[i] = z[v], token[i] = first + v;
        }
    }
    if (is_last)
        for (long i = 0; i < found; i++) value[i] -= *top + (number)log(*sum);
}

void best(long t, const struct best *b) {
    #pragma omp parallel for if (b->R > 16)
    for (long r = 0; r < b->R; r++)
        best_row(b, r, b->first, b->N, b->first + b->N == b->V, b->logits + r * b->logits_row);
}

/* The tokens that a translation may contain, ascending. */
struct list {
    const long *tokens;
    long N;
};

/* The number of tokens of a list that are lower than `limit`. */
static long count_lower(const struct list *list, long limit) {
    long low = 0, high = list->N;
    while (low < high) {
        long middle = (low + high) / 2;
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
    const long *column;
};

void best_listed(long t, const struct best_listed *l) {
    const struct best *b = &l->best;
    #pragma omp parallel for if (b->R > 16)
    for (long r = 0; r < b->R; r++) {
        const struct list *list = l->lists[r];
        const number *logits = b->logits + r * b->logits_row;
        long N = list->N, end = b->first + b->N, *token = b->tokens + r * b->k, found = N < b->k ? N : b->k;
        for (long i = count_lower(list, b->first), n; i < N && list->tokens[i] < end; i += n) {
            number z[BLOCK];
            const long *tokens = list->tokens + i;
            n = count_lower(list, (tokens[0] / BLOCK + 1) * BLOCK) - i;
            if (l->column)
                #pragma omp simd
                for (long j = 0; j < n; j++) z[j] = logits[l->column[tokens[j]]];
            else
                #pragma omp simd
                for (long j = 0; j < n; j++) z[j] = logits[tokens[j] - b->first];
            best_row(b, r, i, n, i + n == N, z);
        }
        if (end < b->V) continue;
        for (long i = 0; i < found; i++) token[i] = list->tokens[token[i]];
        for (long lacking = 0, v = 0; found < b->k; lacking++)
            if (v < N && list->tokens[v] == lacking) v++;
            else b->values[r * b->k + found] = -INFINITY, token[found++] = lacking;
    }
}
