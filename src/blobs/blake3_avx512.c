/* blake3_avx512.c: sixteen inputs at once; see blake3_lanes.inc. */
#if defined(__x86_64__)
#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl")))
#define EACH_LANE(F, s)                                                                            \
    F(s, 0), F(s, 1), F(s, 2), F(s, 3), F(s, 4), F(s, 5), F(s, 6), F(s, 7), F(s, 8), F(s, 9),      \
        F(s, 10), F(s, 11), F(s, 12), F(s, 13), F(s, 14), F(s, 15)
#define MANY blake3_many_avx512
#include "blake3_lanes.inc"
#endif
