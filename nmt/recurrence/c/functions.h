/* The number of a kernel (a double if DOUBLE is defined, else a float), its buffers and exponential functions. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef DOUBLE
typedef double number;
#define exp_ exp
#define tanh_ tanh
#else
typedef float number;
/* Polynomials (Moshier's Cephes library, 1989), which unlike calls become vector code. Exact to a few ulp. */
#if defined __FMA__ || defined __ARM_FEATURE_FMA
#define plus(sum, a, b) __builtin_fmaf(a, b, sum)
#else
#define plus(sum, a, b) ((a) * (b) + (sum))
#endif
static inline float exp_(float x) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = plus(plus(x, n, -0.693359375f), n, 2.12194440e-4f);
    float p = 1.9875691500e-4f;
    p = plus(1.3981999507e-3f, p, r);
    p = plus(8.3334519073e-3f, p, r);
    p = plus(4.1665795894e-2f, p, r);
    p = plus(1.6666665459e-1f, p, r);
    p = plus(5.0000001201e-1f, p, r);
    union { int i; float f; } power = {.i = ((int)n + 127) << 23};
    return (plus(r, p, r * r) + 1.0f) * power.f;
}
static inline float tanh_(float x) {
    float a = fabsf(x), s = x * x;
    float p = -5.70498872745e-3f;
    p = plus(2.06390887954e-2f, p, s);
    p = plus(-5.37397155531e-2f, p, s);
    p = plus(1.33314422036e-1f, p, s);
    p = plus(-3.33332819422e-1f, p, s);
    float far = 1.0f - 2.0f / (exp_(2.0f * a) + 1.0f);
    return a < 0.625f ? plus(x, p * s, x) : copysignf(far, x);
}
#endif
/* Row b at position t of input or output i: base[i] + t time[i] + b row[i]. */
struct buffers {
    int64_t B, H;
    char **base;
    const int64_t *time, *row;
};
