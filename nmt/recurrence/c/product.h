/* The arguments of a product, out = add + v Wᵀ at position t, and the tiles of AMX. */
#include <stdint.h>

struct product {
    int64_t M, N, K;
    const number *v; /* rows v [M, K] at position t: v + t * v_time; one of across and along is 1 */
    int64_t v_time, across, along;
    const void *packed; /* W [N, K] in the order of the file that multiplies by it */
    number *out;
    int64_t out_time, out_row;
    const number *add; /* NULL for nothing */
    int64_t add_time, add_row;
};

#if defined __AMX_TILE__ && defined __linux__
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Ask the operating system for tiles; return 0 if it refuses. Without permission the first tile ends the process. */
static inline int request_tiles(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* Configure eight tiles of 16 rows of 64 bytes for this thread. */
static inline void configure_tiles(void) {
    struct { unsigned char palette, start, none[14]; unsigned short bytes[16]; unsigned char rows[16]; } tiles = {1};
    for (int i = 0; i < 8; i++) tiles.bytes[i] = 64, tiles.rows[i] = 16;
    _tile_loadconfig(&tiles);
}

static inline void release_tiles(void) { _tile_release(); }

/* Complete all writes before tiles are loaded: the compiler does not know that _tile_loadd reads memory. */
static inline void complete_writes(void) { __asm__ volatile("" ::: "memory"); }
#else
static inline int request_tiles(void) { return 0; }
static inline void configure_tiles(void) {}
static inline void release_tiles(void) {}
#endif
