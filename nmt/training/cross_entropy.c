/* The softmax of some rows of logits with the loss, and its gradient by the logits in their place. */

enum { GROUP = 32 /* rows whose gradients are in the cache when they are summed */ };

/* For a row z [V] with target y: z_y, nll = log Σ_v exp z_v - z_y, and whether y has the highest z (the first of
   equal ones). With `bias`, dz_v = count (softmax(z)_v - (1 - smoothing) [v = y]) takes the place of z and is added
   to bias [V], row after row, whatever the number of threads is. Without `count` it is 1. */
void cross_entropy(
    int64_t N, int64_t V, number *logits, const int64_t *targets, const number *count, number smoothing,
    number *at_target, number *nll, unsigned char *correct, number *bias
) {
    #pragma omp parallel
    for (int64_t start = 0; start < N; start += GROUP) {
        int64_t stop = start + GROUP < N ? start + GROUP : N;
        #pragma omp for
        for (int64_t n = start; n < stop; n++) {
            number *z = logits + n * V, top = -INFINITY, sum = 0;
            int64_t y = targets[n];
            number target = z[y];
            #pragma omp simd reduction(max:top)
            for (int64_t v = 0; v < V; v++) top = z[v] > top ? z[v] : top;
            int64_t best = 0;
            while (best < V - 1 && !(z[best] == top)) best++;
            #pragma omp simd reduction(+:sum)
            for (int64_t v = 0; v < V; v++) sum += bias ? (z[v] = exp_(z[v] - top)) : exp_(z[v] - top);
            at_target[n] = target;
            nll[n] = (number)log(sum) + (top - target);
            correct[n] = best == y;
            if (!bias) continue;
            number weight = count ? count[n] : 1, share = weight / sum;
            #pragma omp simd
            for (int64_t v = 0; v < V; v++) z[v] *= share;
            z[y] += weight * (smoothing - 1);
        }
        #pragma omp for
        for (int64_t v = 0; v < V; v += 256)
            for (int64_t n = start; bias && n < stop; n++)
                #pragma omp simd
                for (int64_t j = v; j < (v + 256 < V ? v + 256 : V); j++) bias[j] += logits[n * V + j];
    }
}
