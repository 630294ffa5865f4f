/* The loop over positions, and the matrix product that it repeats at every one of them.

   A product gives out = add + v Wᵀ for M rows v [M, K], with W [N, K] packed beforehand. An element of out is
   summed over k in one order, whatever M, N and the number of threads are: a row does not depend on other
   rows. `number` is float or double. */

#include <stdlib.h>
#include <string.h>

#ifdef __AVX512F__
enum { BYTES = 64, ROWS = 12 }; /* a vector, and rows whose sums stay in registers: 12 x 2 of 32 */
#else
enum { BYTES = 32, ROWS = 6 };
#endif
enum {
    LANES = BYTES / sizeof(number),
    WIDE = 2 * LANES, /* columns of a tile */
    DEEP = 512,       /* columns of v that are multiplied before the next: they and a panel of W stay in cache */
    TALL = 120,       /* rows of v likewise */
    /* Strides of rows and columns in a copy of v: no power of two, or all map to the same cache set. */
    ROW = DEEP + LANES,
    COLUMN = TALL + LANES,
    SERIAL = 16384,   /* multiplications, or numbers to copy, up to which one thread is faster than several */
};
typedef number lanes __attribute__((vector_size(BYTES), aligned(sizeof(number))));

/* W [N, K] in panels of WIDE rows, each column of a panel side by side; what lies beyond N is 0. */
void pack(int64_t N, int64_t K, const number *W, int64_t across, int64_t along, number *packed) {
    #pragma omp parallel for if (N * K > SERIAL)
    for (int64_t n = 0; n < N; n += WIDE)
        for (int64_t k0 = 0; k0 < K; k0 += LANES) {
            int64_t stop = k0 + LANES < K ? k0 + LANES : K;
            number *panel = packed + n * K;
            if (across == 1 && n + WIDE <= N)
                for (int64_t k = k0; k < stop; k++)
                    memcpy(panel + k * WIDE, W + n + k * along, sizeof(number[WIDE]));
            else
                for (int64_t j = 0; j < WIDE; j++)
                    for (int64_t k = k0; k < stop; k++)
                        panel[k * WIDE + j] = n + j < N ? W[(n + j) * across + k * along] : 0;
        }
}

/* A few rows of v by a panel: the first `columns` of WIDE. A row is `across` from the next, a column `along`. */
static inline __attribute__((always_inline)) void tile(
    int rows, int64_t columns, int64_t K, const number *v, int64_t across, int64_t along, const number *panel,
    number *out, int64_t out_row, const number *add, int64_t add_row
) {
    lanes sums[ROWS][2];
    for (int r = 0; r < rows; r++) {
        sums[r][0] = sums[r][1] = (lanes){0};
        for (int p = 0; p < 2; p++) { /* they are wanted at the end and may be far away */
            if (add) __builtin_prefetch(add + r * add_row + p * LANES, 0);
            __builtin_prefetch(out + r * out_row + p * LANES, 1);
        }
    }
    for (int64_t k = 0; k < K; k++) {
        lanes left = *(const lanes *)(panel + k * WIDE), right = *(const lanes *)(panel + k * WIDE + LANES);
        #pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            number x = v[r * across + k * along];
            sums[r][0] += x * left;
            sums[r][1] += x * right;
        }
    }
    for (int r = 0; r < rows; r++)
        if (columns == WIDE)
            for (int p = 0; p < 2; p++) {
                lanes *target = (lanes *)(out + r * out_row + p * LANES);
                *target = add ? sums[r][p] + *(const lanes *)(add + r * add_row + p * LANES) : sums[r][p];
            }
        else
            for (int64_t j = 0; j < columns; j++)
                out[r * out_row + j] = sums[r][j / LANES][j % LANES] + (add ? add[r * add_row + j] : 0);
}

static void tile_of(
    int rows, int64_t columns, int64_t K, const number *v, int64_t across, int64_t along, const number *panel,
    number *out, int64_t out_row, const number *add, int64_t add_row
) {
#define TILE(R, A, K_) tile(R, columns, K, v, A, K_, panel, out, out_row, add, add_row)
#define CASE(R) case R: if (along == 1) TILE(R, across, 1); else TILE(R, 1, along); break;
    switch (rows) { /* a constant in each: the sums can then be registers */
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#if defined __AVX512F__
        CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#endif
    }
}

void product(int64_t t, const struct product *p) {
    int64_t N = p->N, K = p->K, panels = (N + WIDE - 1) / WIDE;
    const number *packed = p->packed;
    number *out = p->out + t * p->out_time;
    number *copy = p->M > ROWS ? malloc(sizeof(number) * (p->along == 1 ? TALL * ROW : DEEP * COLUMN)) : NULL;
    for (int64_t m = 0; m < p->M; m += TALL)
        for (int64_t k = 0; k < K || k == 0; k += DEEP) {
            int64_t tall = p->M - m < TALL ? p->M - m : TALL, deep = K - k < DEEP ? K - k : DEEP;
            int64_t across = p->across, along = p->along, tiles = (tall + ROWS - 1) / ROWS;
            const number *v = p->v + t * p->v_time + m * across + k * along;
            const number *add = k ? out : p->add ? p->add + t * p->add_time : NULL;
            int64_t add_row = k ? p->out_row : p->add_row;
            if (copy && along == 1) { /* copies take a tenth of the time of a product with few outputs */
                #pragma omp parallel for if (tall * deep > SERIAL)
                for (int64_t r = 0; r < tall; r++) memcpy(copy + r * ROW, v + r * across, sizeof(number) * deep);
                v = copy, across = ROW;
            } else if (copy) {
                #pragma omp parallel for if (tall * deep > SERIAL)
                for (int64_t r = 0; r < deep; r++) memcpy(copy + r * COLUMN, v + r * along, sizeof(number) * tall);
                v = copy, along = COLUMN;
            }
            #pragma omp parallel for if (tall * deep * N > SERIAL)
            for (int64_t n = 0; n < panels; n++) {
                int64_t columns = N - n * WIDE < WIDE ? N - n * WIDE : WIDE;
                for (int64_t i = 0, r = 0; i < tiles; i++) {
                    int64_t rows = (tall - r) / (tiles - i);
                    tile_of(
                        rows, columns, deep, v + r * across, across, along,
                        packed + n * WIDE * K + k * WIDE,
                        out + (m + r) * p->out_row + n * WIDE, p->out_row,
                        add ? add + (m + r) * add_row + n * WIDE : NULL, add_row
                    );
                    r += rows;
                }
            }
        }
    free(copy);
}

struct step {
    void (*run)(int64_t t, const void *arguments);
    const void *arguments;
};

/* Run every step at every position, from `first` on. */
void loop(int64_t count, const struct step *steps, int64_t first, int64_t positions, int64_t by) {
    for (int64_t i = 0; i < positions; i++)
        for (int64_t s = 0; s < count; s++)
            steps[s].run(first + i * by, steps[s].arguments);
}
