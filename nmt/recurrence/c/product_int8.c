/* The matrix product of translation in 8-bit integers: out = add + s_v s_W Σ_k v_k W_k.

   A row of W [N, K] is stored as integers of -127 to 127 with its scale s_W; a row of v [M, K] is rounded
   likewise when it is multiplied, s_v = max |v| / 127. Sums of integers are exact in every order, and one
   function makes them floats: a row depends neither on other rows nor on the processor's instructions. */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined __x86_64__
#include <immintrin.h>
#endif

enum {
    COLUMNS = 64, /* of out in a panel of W */
    DEPTH = 64,   /* K is padded with zeros to a multiple of it */
    TALL = 96,    /* rows of v that are multiplied before the next */
    TILED = 32,   /* rows of v in a product of AMX */
    SERIAL = 65536, /* multiplications up to which one thread is faster than several */
};

/* GROUP integers of a row of v by those of LANES columns of W, added to a vector of sums. Integers of v are
   stored as `unit`, ZERO added, which `product` subtracts again: one operand of VNNI is unsigned. */
#if defined __AVX512VNNI__
enum { LANES = 16, GROUP = 4, VECTORS = 4, ROWS = 6, ZERO = 128 };
#define NAME "AVX-512 VNNI"
#elif defined __AVXVNNI__
enum { LANES = 8, GROUP = 4, VECTORS = 4, ROWS = 3, ZERO = 128 };
#define NAME "AVX-VNNI"
#elif defined __AVX2__
enum { LANES = 8, GROUP = 2, VECTORS = 2, ROWS = 6, ZERO = 0 };
#define NAME "AVX2"
#else
enum { LANES = 4, GROUP = 1, VECTORS = 2, ROWS = 4, ZERO = 0 };
#define NAME "C without vector instructions for integers"
#endif

typedef int lanes __attribute__((vector_size(4 * LANES), aligned(4)));
typedef float floats __attribute__((vector_size(4 * LANES), aligned(4)));
typedef signed char bytes __attribute__((vector_size(LANES), aligned(1)));

#if defined __AVX512VNNI__ || defined __AVXVNNI__
typedef unsigned char unit;
#else
typedef short unit;
#endif
typedef int four __attribute__((aligned(1), may_alias)); /* bytes of v, or two numbers of 16 bits */

static inline __attribute__((always_inline)) lanes multiply_add(lanes sums, const unit *v, const signed char *W) {
#if defined __AVX512VNNI__
    __m512i x = _mm512_set1_epi32(*(const four *)v);
    return (lanes)_mm512_dpbusd_epi32((__m512i)sums, x, _mm512_loadu_si512(W));
#elif defined __AVXVNNI__
    __m256i x = _mm256_set1_epi32(*(const four *)v);
    return (lanes)_mm256_dpbusd_avx_epi32((__m256i)sums, x, _mm256_loadu_si256((const __m256i_u *)W));
#elif defined __AVX2__ /* 16-bit factors: the sum of two products of bytes would saturate */
    __m256i x = _mm256_set1_epi32(*(const four *)v);
    __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i_u *)W));
    return sums + (lanes)_mm256_madd_epi16(x, w);
#else
    return sums + *v * __builtin_convertvector(*(const bytes *)W, lanes);
#endif
}

/* max |v|, at least 1e-30. A NaN is the largest of bits, so it makes the scale NaN, and thus the row. */
static float largest_of(int64_t K, const float *v, int64_t along) {
    int largest = 0;
    for (int64_t k = 0; k < K; k++) {
        int bits;
        memcpy(&bits, v + k * along, sizeof bits);
        bits &= 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    float most;
    memcpy(&most, &largest, sizeof most);
    return most < 1e-30f ? 1e-30f : most;
}

/* Round a row of v to integers; return the scale. */
static float round_row(int64_t K, int64_t depth, const float *v, int64_t along, unit *rounded) {
    float most = largest_of(K, v, along), by = 127.0f / most;
    for (int64_t k = 0; k < K; k++) {
        float x = rintf(v[k * along] * by);
        x = x > -127.0f ? x : -127.0f;
        x = x < 127.0f ? x : 127.0f;
        rounded[k] = (unit)((int)x + ZERO);
    }
    for (int64_t k = K; k < depth; k++) rounded[k] = ZERO;
    return most / 127.0f;
}

/* The sums of a few rows of v, `across` apart, by a panel: COLUMNS / (VECTORS LANES) times VECTORS vectors. */
static inline __attribute__((always_inline)) void tile(
    int rows, int64_t depth, const unit *v, int64_t across, const signed char *panel, int *out
) {
    for (int64_t j = 0; j < COLUMNS; j += VECTORS * LANES) {
        lanes sums[ROWS][VECTORS] = {0};
        for (int64_t k = 0; k < depth; k += GROUP)
            #pragma GCC unroll 6
            for (int r = 0; r < rows; r++)
                #pragma GCC unroll 4
                for (int p = 0; p < VECTORS; p++) {
                    const signed char *W = panel + k * COLUMNS + (j + p * LANES) * GROUP;
                    sums[r][p] = multiply_add(sums[r][p], v + r * across + k, W);
                }
        for (int r = 0; r < rows; r++)
            for (int p = 0; p < VECTORS; p++) *(lanes *)(out + r * COLUMNS + j + p * LANES) = sums[r][p];
    }
}

static void tile_of(int rows, int64_t depth, const unit *v, int64_t across, const signed char *panel, int *out) {
#define CASE(R) case R: tile(R, depth, v, across, panel, out); break;
    switch (rows) { /* a constant in each: the sums can then be registers */
        CASE(1) CASE(2) CASE(3)
#if !defined __AVXVNNI__ || defined __AVX512VNNI__
        CASE(4)
#endif
#if defined __AVX2__ && (!defined __AVXVNNI__ || defined __AVX512VNNI__)
        CASE(5) CASE(6)
#endif
    }
}

#if defined __AMX_INT8__ && defined __AVX512VNNI__ && defined __linux__
enum { FEW = 4 }; /* rows up to which vectors are faster */
static int has_tiles;

/* The sums of up to TILED rows by a panel, in four tiles of 16 x 16. */
static void multiply_tiles(
    int64_t rows, int64_t depth, const unit *v, int64_t across, const signed char *panel, int *out
) {
    complete_writes();
    for (int64_t j = 0; j < COLUMNS; j += 32) {
        _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
        for (int64_t k = 0; k < depth; k += 64) {
            _tile_loadd(4, panel + k * COLUMNS + j * GROUP, COLUMNS * GROUP);
            _tile_loadd(5, panel + k * COLUMNS + (j + 16) * GROUP, COLUMNS * GROUP);
            _tile_loadd(6, v + k, across);
            _tile_dpbusd(0, 6, 4); _tile_dpbusd(1, 6, 5);
            if (rows > 16) {
                _tile_loadd(7, v + 16 * across + k, across);
                _tile_dpbusd(2, 7, 4); _tile_dpbusd(3, 7, 5);
            }
        }
        _tile_stored(0, out + j, sizeof(int[COLUMNS])); _tile_stored(1, out + j + 16, sizeof(int[COLUMNS]));
        if (rows > 16) {
            int *lower = out + 16 * COLUMNS + j;
            _tile_stored(2, lower, sizeof(int[COLUMNS])); _tile_stored(3, lower + 16, sizeof(int[COLUMNS]));
        }
    }
}
#else
enum { FEW = 0, has_tiles = 0 };
static void multiply_tiles(
    int64_t rows, int64_t depth, const unit *v, int64_t across, const signed char *panel, int *out
) {}
#endif

/* Return the name of the instructions that multiply; ask for tiles first. */
const char *prepare(void) {
#if defined __AMX_INT8__ && defined __AVX512VNNI__ && defined __linux__
    has_tiles = request_tiles();
    if (has_tiles) return "AMX and " NAME;
#endif
    return NAME;
}

/* Return the bytes of a packed W [N, K]: panels [N / COLUMNS, K / GROUP, COLUMNS, GROUP], scales [N], shifts [N]. */
int64_t packed_size(int64_t N, int64_t K) {
    return (N + COLUMNS - 1) / COLUMNS * COLUMNS * ((K + DEPTH - 1) / DEPTH * DEPTH + sizeof(float) + sizeof(int));
}

/* Round W to w = W / scale with scale = max |W| / 127 of each row, and pack it; a shift is ZERO Σ_k w_k. */
void pack(int64_t N, int64_t K, const float *W, int64_t across, int64_t along, signed char *packed) {
    int64_t depth = (K + DEPTH - 1) / DEPTH * DEPTH, padded = (N + COLUMNS - 1) / COLUMNS * COLUMNS;
    float *scales = (float *)(packed + padded * depth);
    int *shifts = (int *)(scales + padded);
    #pragma omp parallel for if (N * K > SERIAL)
    for (int64_t n = 0; n < padded; n++) {
        const float *row = W + n * across;
        float scale = n < N ? largest_of(K, row, along) / 127.0f : 0;
        int sum = 0;
        for (int64_t k = 0; k < depth; k += DEPTH) {
            signed char w[DEPTH] = {0}, *panel = packed + n / COLUMNS * COLUMNS * depth + k * COLUMNS;
            int64_t stop = n >= N ? 0 : K - k < DEPTH ? K - k : DEPTH;
            for (int64_t i = 0; i < stop; i++) w[i] = (signed char)(int)rintf(row[(k + i) * along] / scale);
            for (int64_t i = 0; i < DEPTH; i++) sum += w[i];
            for (int64_t i = 0; i < DEPTH; i += GROUP) memcpy(panel + i * COLUMNS + n % COLUMNS * GROUP, w + i, GROUP);
        }
        scales[n] = scale, shifts[n] = ZERO * sum;
    }
}

/* out = add + (sums - shifts) s_v s_W for one row of a panel. */
static void write_row(
    int64_t columns, const int *sums, const int *shifts, float v_scale, const float *scales,
    float *out, const float *add
) {
    for (int64_t j = 0; j < columns; j++) {
        float x = (float)(sums[j] - shifts[j]) * (v_scale * scales[j]);
        out[j] = add ? x + add[j] : x;
    }
}

void product(int64_t t, const struct product *p) {
    const signed char *packed = p->packed;
    int64_t depth = (p->K + DEPTH - 1) / DEPTH * DEPTH, panels = (p->N + COLUMNS - 1) / COLUMNS;
    int64_t across = depth + DEPTH; /* no power of two, or all rows map to the same cache set */
    int64_t most = p->M < TALL ? (p->M + TILED - 1) / TILED * TILED : TALL;
    const float *scales = (const float *)(packed + panels * COLUMNS * depth);
    const int *shifts = (const int *)(scales + panels * COLUMNS);
    unit *rounded = malloc(most * across * sizeof(unit));
    float v_scales[TALL];
    for (int64_t m = 0; m < p->M; m += TALL) {
        int64_t tall = p->M - m < TALL ? p->M - m : TALL, tiled = has_tiles && tall > FEW;
        for (int64_t r = 0; r < tall; r++) {
            const float *v = p->v + t * p->v_time + (m + r) * p->across;
            v_scales[r] = round_row(p->K, depth, v, p->along, rounded + r * across);
        }
        #pragma omp parallel if (tall * depth * p->N > SERIAL)
        {
            int sums[TILED * COLUMNS] __attribute__((aligned(64)));
            if (tiled) configure_tiles();
            #pragma omp for
            for (int64_t n = 0; n < panels; n++)
                for (int64_t r = 0, rows; r < tall; r += rows) {
                    const unit *v = rounded + r * across;
                    const signed char *panel = packed + n * COLUMNS * depth;
                    int64_t start = n * COLUMNS, columns = p->N - start < COLUMNS ? p->N - start : COLUMNS;
                    rows = tall - r < (tiled ? TILED : ROWS) ? tall - r : (tiled ? TILED : ROWS);
                    if (tiled) multiply_tiles(rows, depth, v, across, panel, sums);
                    else tile_of(rows, depth, v, across, panel, sums);
                    for (int64_t i = 0; i < rows; i++) {
                        int64_t row = m + r + i;
                        const float *add = p->add ? p->add + t * p->add_time + row * p->add_row + start : NULL;
                        float *out = p->out + t * p->out_time + row * p->out_row + start;
                        write_row(columns, sums + i * COLUMNS, shifts + start, v_scales[r + i], scales + start, out, add);
                    }
                }
            if (tiled) release_tiles();
        }
    }
    free(rounded);
}
