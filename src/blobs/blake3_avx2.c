/* blake3_avx2.c: eight inputs at once; see blake3_lanes.inc. */
#if defined(__x86_64__)
#define LANES 8
#define TARGET __attribute__((target("avx2")))
#define EACH_LANE(F, s) F(s, 0), F(s, 1), F(s, 2), F(s, 3), F(s, 4), F(s, 5), F(s, 6), F(s, 7)
#define MANY blake3_many_avx2
#include "blake3_lanes.inc"
#endif
