/* The product of loop.c with operands in bfloat16: out = add + v Wᵀ for M rows v [M, K] and W [N, K].

   W is rounded when it is packed, v when it is copied; sums are float. Two neighbours along K are one word of
   32 bits. An element of out starts from add and is summed over k in one order, whatever M, N and the number
   of threads are. With tiles (AMX) 32 x 32 sums are computed at a time, else 12 x 32 by vectors. */

#include <immintrin.h>
#include <stdlib.h>

enum { LANES = 16 };
#if defined __AMX_BF16__ && defined __linux__ && !defined NO_TILES
#define TILES
enum { ROWS = 32, WHOLE = LANES }; /* rows of sums; the rows of a tile that is not at the edge: a multiple of WHOLE */
#else
enum { ROWS = 12, WHOLE = 1 };
#endif
enum {
    WIDE = 2 * LANES, /* columns of a panel of W */
    DEEP = 256,       /* words of v that are multiplied before the next, as in loop.c */
    TALL = 96,        /* rows of v likewise: a multiple of LANES and ROWS */
    ROW = DEEP + LANES,
    SERIAL = 65536,   /* multiplications up to which one thread is faster than several */
};
typedef unsigned word;

/* Return 2 if tiles multiply, 1 if vectors do, and 0 if the operating system refuses tiles. */
int prepare(void) {
#ifdef TILES
    return request_tiles() ? 2 : 0;
#else
    return 1;
#endif
}

/* The first n of 16 numbers, then zeros. */
static inline __m512 first(int64_t n, const float *v) {
    return _mm512_maskz_loadu_ps(n >= LANES ? 0xffff : n > 0 ? (1 << n) - 1 : 0, v);
}

static inline void transpose(__m512i words[LANES]) {
    __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    #pragma GCC unroll 4
    for (int s = 1; s < LANES; s *= 2) {
        __m512i step = _mm512_set1_epi32(s), other = _mm512_set1_epi32(LANES);
        __mmask16 odd = _mm512_test_epi32_mask(lane, step);
        __m512i low = _mm512_mask_add_epi32(lane, odd, lane, _mm512_sub_epi32(other, step));
        __m512i high = _mm512_mask_add_epi32(_mm512_add_epi32(lane, step), odd, lane, other);
        #pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if (!(i & s)) {
                __m512i a = words[i], b = words[i + s];
                words[i] = _mm512_permutex2var_epi32(a, low, b);
                words[i + s] = _mm512_permutex2var_epi32(a, high, b);
            }
    }
}

/* Round 16 rows of 32 columns of v (those beyond rows and columns are 0) to words, 16 rows of 16; with
   `turned` the first word of every row comes first. A row is `across` from the next, a column `along`. */
static void round_block(
    int64_t rows, int64_t columns, const float *v, int64_t across, int64_t along,
    int turned, word *target, int64_t target_row
) {
    __m512i words[LANES];
    if (along == 1)
        for (int i = 0; i < LANES; i++) {
            const float *row = v + i * across;
            words[i] = i < rows ? (__m512i)_mm512_cvtne2ps_pbh(first(columns - LANES, row + LANES), first(columns, row))
                                : _mm512_setzero_si512();
        }
    else
        for (int i = 0; i < LANES; i++) {
            const float *column = v + 2 * i * along;
            __m256i even = (__m256i)_mm512_cvtneps_pbh(first(2 * i < columns ? rows : 0, column));
            __m256i odd = (__m256i)_mm512_cvtneps_pbh(first(2 * i + 1 < columns ? rows : 0, column + along));
            __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16);
            words[i] = _mm512_or_si512(_mm512_cvtepu16_epi32(even), high);
        }
    if ((along == 1) == turned) transpose(words);
    for (int i = 0; i < LANES; i++) _mm512_storeu_si512(target + i * target_row, words[i]);
}

/* W [N, K] in panels of WIDE rows, each word of a panel side by side; what lies beyond N and K is 0. */
void pack(int64_t N, int64_t K, const float *W, int64_t across, int64_t along, word *packed) {
    int64_t deep = (K + WIDE - 1) / WIDE * LANES; /* words of a row */
    int64_t down = (N + WIDE - 1) / WIDE * WIDE / LANES, right = deep / LANES; /* blocks */
    #pragma omp parallel for if (N * K > SERIAL)
    for (int64_t i = 0; i < down * right; i++) { /* in the order in which W is in memory */
        int64_t n = (across == 1 ? i % down : i / right) * LANES, k = (across == 1 ? i / down : i % right) * LANES;
        round_block(
            N - n, K - 2 * k, W + n * across + 2 * k * along, across, along, 1,
            packed + n / WIDE * WIDE * deep + k * WIDE + n % WIDE, WIDE
        );
    }
}

#ifdef TILES
/* 32 rows of v by a panel of 32 columns, in 2 x 2 tiles of 16 x 16 sums. */
static void tile(
    int rows, int64_t deep, const word *v, const word *panel,
    float *out, int64_t out_row, const float *add, int64_t add_row
) {
    enum { WORD = sizeof(word) };
    float *below = out + LANES * out_row;
    complete_writes();
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    if (add) {
        _tile_loadd(0, add, add_row * WORD);
        _tile_loadd(1, add + LANES, add_row * WORD);
        if (rows > LANES) {
            _tile_loadd(2, add + LANES * add_row, add_row * WORD);
            _tile_loadd(3, add + LANES * add_row + LANES, add_row * WORD);
        }
    }
    if (rows > LANES)
        for (int64_t k = 0; k < deep; k += LANES) {
            _tile_loadd(4, v + k, ROW * WORD);
            _tile_loadd(5, v + LANES * ROW + k, ROW * WORD);
            _tile_loadd(6, panel + k * WIDE, WIDE * WORD);
            _tile_loadd(7, panel + k * WIDE + LANES, WIDE * WORD);
            _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
        }
    else
        for (int64_t k = 0; k < deep; k += LANES) {
            _tile_loadd(4, v + k, ROW * WORD);
            _tile_loadd(6, panel + k * WIDE, WIDE * WORD);
            _tile_loadd(7, panel + k * WIDE + LANES, WIDE * WORD);
            _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7);
        }
    _tile_stored(0, out, out_row * WORD);
    _tile_stored(1, out + LANES, out_row * WORD);
    if (rows > LANES) {
        _tile_stored(2, below, out_row * WORD);
        _tile_stored(3, below + LANES, out_row * WORD);
    }
}

#else
/* Up to 12 rows of v by a panel of 32 columns. */
static inline __attribute__((always_inline)) void vectors(
    int rows, int64_t deep, const word *v, const word *panel,
    float *out, int64_t out_row, const float *add, int64_t add_row
) {
    __m512 sums[ROWS][2];
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < 2; p++)
            sums[r][p] = add ? _mm512_loadu_ps(add + r * add_row + p * LANES) : _mm512_setzero_ps();
    for (int64_t k = 0; k < deep; k++) {
        __m512bh left = (__m512bh)_mm512_loadu_si512(panel + k * WIDE);
        __m512bh right = (__m512bh)_mm512_loadu_si512(panel + k * WIDE + LANES);
        #pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32((int)v[r * ROW + k]);
            sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, left);
            sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, right);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < 2; p++) _mm512_storeu_ps(out + r * out_row + p * LANES, sums[r][p]);
}

static void tile(
    int rows, int64_t deep, const word *v, const word *panel,
    float *out, int64_t out_row, const float *add, int64_t add_row
) {
#define CASE(R) case R: vectors(R, deep, v, panel, out, out_row, add, add_row); break;
    switch (rows) { /* a constant in each: the sums can then be registers */
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
    }
}
#endif

/* A tile at the edge of out, of which only `rows` and `columns` exist, through a copy. */
static void edge(
    int rows, int64_t columns, int64_t deep, const word *v, const word *panel,
    float *out, int64_t out_row, const float *add, int64_t add_row
) {
    float copy[ROWS * WIDE];
    for (int r = 0; add && r < rows; r++)
        for (int64_t j = 0; j < columns; j++) copy[r * WIDE + j] = add[r * add_row + j];
    tile(rows, deep, v, panel, copy, WIDE, add ? copy : NULL, WIDE);
    for (int r = 0; r < rows; r++)
        for (int64_t j = 0; j < columns; j++) out[r * out_row + j] = copy[r * WIDE + j];
}

void product(int64_t t, const struct product *p) {
    int64_t M = p->M, N = p->N, words = (p->K + WIDE - 1) / WIDE * LANES;
    const word *packed = p->packed;
    float *out = p->out + t * p->out_time;
    word *copy = aligned_alloc(64, sizeof(word) * TALL * ROW);
    #pragma omp parallel if (M * N * p->K > SERIAL)
    {
#ifdef TILES
        configure_tiles();
#endif
        for (int64_t m = 0; m < M; m += TALL)
            for (int64_t k = 0; k < words || k == 0; k += DEEP) {
                int64_t tall = M - m < TALL ? M - m : TALL, deep = words - k < DEEP ? words - k : DEEP;
                const float *v = p->v + t * p->v_time + m * p->across + 2 * k * p->along;
                #pragma omp for
                for (int64_t c = 0; c < deep; c += LANES)
                    for (int64_t r = 0; r < tall; r += LANES)
                        round_block(
                            tall - r, p->K - 2 * (k + c), v + r * p->across + 2 * c * p->along,
                            p->across, p->along, 0, copy + r * ROW + c, ROW
                        );
                const float *add = k ? out : p->add ? p->add + t * p->add_time : NULL;
                int64_t add_row = k ? p->out_row : p->add_row;
                #pragma omp for
                for (int64_t n = 0; n < N; n += WIDE)
                    for (int64_t r = 0; r < tall; r += ROWS) {
                        int rows = tall - r < ROWS ? tall - r : ROWS;
                        int64_t columns = N - n < WIDE ? N - n : WIDE, first = (m + r) * p->out_row + n;
                        const float *more = add ? add + (m + r) * add_row + n : NULL;
                        const word *left = copy + r * ROW, *panel = packed + n * words + k * WIDE;
                        if (rows % WHOLE || columns < WIDE)
                            edge(rows, columns, deep, left, panel, out + first, p->out_row, more, add_row);
                        else
                            tile(rows, deep, left, panel, out + first, p->out_row, more, add_row);
                    }
            }
#ifdef TILES
        release_tiles();
#endif
    }
    free(copy);
}
