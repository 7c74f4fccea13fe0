/* Rotary positions: from a configuration to the frequencies by which pairs of a head's values turn.
 *
 * Reads both spellings: today's `rope_parameters` and the older `rope_theta` + `rope_scaling`.
 * Kinds: default, linear, dynamic, llama3, yarn. Frequencies are rounded as PyTorch rounds them in
 * f32, because at position 8000 the last bit of a frequency is a thousandth of a radian.
 * Sources: Su 2021, arXiv:2104.09864; Peng 2023, arXiv:2309.00071 (yarn); the Llama 3.1 release. */
#pragma once

#include "base/json.h"

enum { ROPE_MAX_PAIRS = 512 };

typedef struct RopeConfig {
    const char *kind;
    float theta, factor, low_freq_factor, high_freq_factor;
    float attention_factor, beta_fast, beta_slow, mscale, mscale_all_dim;
    bool truncate;
    int64_t original, longest; // positions that the model was trained with, and may use now
    // filled by rope_prepare
    int64_t pairs;
    float freqs[ROPE_MAX_PAIRS]; // radians a position
    float scale;                 // of sine and cosine
} RopeConfig;

/* Rows for the Field table of a configuration with a RopeConfig in it. */
#define ROPE_FIELDS(type, member)                                                                  \
    OPT_TEXT(type, member.kind, ROPE_KEYS("rope_type") "|rope_scaling.type", "default"),           \
        OPT_RANGE(type, member.theta, FLOAT, "rope_parameters.rope_theta|rope_theta", 1e4, 1,      \
                  1e12),                                                                           \
        OPT_RANGE(type, member.factor, FLOAT, ROPE_KEYS("factor"), 1, 1e-3, 1e6),                  \
        OPT(type, member.low_freq_factor, FLOAT, ROPE_KEYS("low_freq_factor"), 1),                 \
        OPT(type, member.high_freq_factor, FLOAT, ROPE_KEYS("high_freq_factor"), 4),               \
        OPT(type, member.attention_factor, FLOAT, ROPE_KEYS("attention_factor"), 0),               \
        OPT_RANGE(type, member.beta_fast, FLOAT, ROPE_KEYS("beta_fast"), 32, 1e-3, 1e6),           \
        OPT_RANGE(type, member.beta_slow, FLOAT, ROPE_KEYS("beta_slow"), 1, 1e-3, 1e6),            \
        OPT(type, member.mscale, FLOAT, ROPE_KEYS("mscale"), 0),                                   \
        OPT(type, member.mscale_all_dim, FLOAT, ROPE_KEYS("mscale_all_dim"), 0),                   \
        OPT(type, member.truncate, BOOL, ROPE_KEYS("truncate"), true),                             \
        OPT_RANGE(                                                                                 \
            type, member.original, INT,                                                            \
            ROPE_KEYS("original_max_position_embeddings") "|original_max_position_embeddings"      \
                                                          "|max_position_embeddings",              \
            2048, 1, 1 << 30),                                                                     \
        OPT_RANGE(type, member.longest, INT, "max_position_embeddings", 2048, 1, 1 << 30)
#define ROPE_KEYS(key) "rope_parameters." key "|rope_scaling." key

/* Computes the frequencies of heads of head_dim values. ERR_UNSUPPORTED names a kind we do not
 * have, ERR_INVALID a head size that is odd or too large. */
bool rope_prepare(RopeConfig *r, int64_t head_dim, Error *err);
