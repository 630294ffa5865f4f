/* Operations of search besides products: attention over sentences of different lengths, and the best tokens of
   each row. A row does not depend on other rows. */

/* Row r attends to the S[r] positions of its sentence: weights = softmax(keys query), context = Σ weights values. */
void attend(
    long R, long A, long C, const number *query, const number *const *keys, const number *const *values,
    const long *S, number *const *weights, number *context
) {
    #pragma omp parallel for if (R > 16)
    for (long r = 0; r < R; r++) {
        const number *q = query + r * A;
        number *w = weights[r], *c = context + r * C, top = -INFINITY, sum = 0;
        for (long s = 0; s < S[r]; s++) {
            const number *k = keys[r] + s * A;
            number dot = 0;
            #pragma omp simd reduction(+:dot)
            for (long a = 0; a < A; a++) dot += q[a] * k[a];
            w[s] = dot;
            top = dot > top ? dot : top;
        }
        for (long s = 0; s < S[r]; s++) sum += w[s] = exp_(w[s] - top);
        for (long j = 0; j < C; j++) c[j] = 0;
        for (long s = 0; s < S[r]; s++) {
            const number *v = values[r] + s * C, share = w[s] /= sum;
            #pragma omp simd
            for (long j = 0; j < C; j++) c[j] += share * v[j];
        }
    }
}

/* The k best of each row of logits as log probabilities and their tokens, best first; ties by token. A row with
   NaN gives NaN. Row r begins at first[r] and ends where the next begins; lists[r] are the tokens of its logits,
   ascending, and tokens that are not among them follow with -infinity. Without lists a logit's index is its
   token. */
void best(
    long R, const long *first, const number *logits, const long *const *lists, long k, number *values, long *tokens
) {
    #pragma omp parallel for if (R > 16)
    for (long r = 0; r < R; r++) {
        const number *z = logits + first[r];
        number *value = values + r * k, top = -INFINITY, sum = 0;
        long *token = tokens + r * k, V = first[r + 1] - first[r], found = 0;
        for (long v = 0; v < V; v++) {
            if (found == k && !(z[v] > value[k - 1])) continue;
            long i = found < k ? found++ : k - 1;
            for (; i > 0 && z[v] > value[i - 1]; i--) value[i] = value[i - 1], token[i] = token[i - 1];
            value[i] = z[v], token[i] = v;
        }
        top = value[0];
        #pragma omp simd reduction(+:sum)
        for (long v = 0; v < V; v++) sum += exp_(z[v] - top);
        for (long i = 0; i < found; i++) value[i] -= top + (number)log(sum);
        if (!lists) continue;
        for (long i = 0; i < found; i++) token[i] = lists[r][token[i]];
        for (long lacking = 0, v = 0; found < k; lacking++)
            if (v < V && lists[r][v] == lacking) v++;
            else value[found] = -INFINITY, token[found++] = lacking;
    }
}
