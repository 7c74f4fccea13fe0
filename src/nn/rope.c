/* rope.c: one function a kind; see rope.h. */
#include "nn/rope.h"

#include <math.h>

static const float TAU = 6.283185307179586f;

static bool keep(RopeConfig *r, Error *err)
{
    return true;
}

static bool scale_linear(RopeConfig *r, Error *err)
{
    for (int64_t i = 0; i < r->pairs; i++)
        r->freqs[i] /= r->factor;
    return true;
}

/* Slow pairs are stretched by the factor, fast ones are kept, those between are mixed. */
static bool scale_llama3(RopeConfig *r, Error *err)
{
    float low = r->low_freq_factor, high = r->high_freq_factor;
    if (!(high > low && low > 0))
        return fail(err, ERR_INVALID, "rope: low_freq_factor %g and high_freq_factor %g",
                    (double)low, (double)high);
    for (int64_t i = 0; i < r->pairs; i++) {
        float freq = r->freqs[i], wavelength = TAU / freq, original = (float)r->original;
        if (wavelength > original / low) {
            r->freqs[i] = freq / r->factor;
        } else if (!(wavelength < original / high)) {
            float smooth = (original / wavelength - low) / (high - low);
            r->freqs[i] = (1 - smooth) * freq / r->factor + smooth * freq;
        }
    }
    return true;
}

/* The pair that turns `turns` times within the original length, as a real number. */
static float yarn_pair(const RopeConfig *r, float turns)
{
    return (float)(2 * r->pairs) * logf((float)r->original / (turns * TAU)) / (2 * logf(r->theta));
}

static float yarn_mscale(float factor, float mscale)
{
    return factor <= 1 ? 1 : 0.1f * mscale * logf(factor) + 1;
}

static bool scale_yarn(RopeConfig *r, Error *err)
{
    float low = yarn_pair(r, r->beta_fast), high = yarn_pair(r, r->beta_slow);
    if (r->truncate) {
        low = floorf(low);
        high = ceilf(high);
    }
    low = fmaxf(low, 0);
    high = fminf(high, (float)(2 * r->pairs - 1));
    if (low == high)
        high += 0.001f;
    for (int64_t i = 0; i < r->pairs; i++) {
        float ramp = fminf(fmaxf(((float)i - low) / (high - low), 0), 1);
        r->freqs[i] = r->freqs[i] / r->factor * ramp + r->freqs[i] * (1 - ramp);
    }
    if (r->attention_factor > 0)
        r->scale = r->attention_factor;
    else if (r->mscale != 0 && r->mscale_all_dim != 0)
        r->scale = yarn_mscale(r->factor, r->mscale) / yarn_mscale(r->factor, r->mscale_all_dim);
    else
        r->scale = yarn_mscale(r->factor, 1);
    return true;
}

/* Dynamic scaling starts behind max_position_embeddings, where our sessions end. */
static const struct {
    const char *name;
    bool (*scale)(RopeConfig *r, Error *err);
} kinds[] = {
    {"default", keep},        {"none", keep},           {"dynamic", keep},
    {"linear", scale_linear}, {"llama3", scale_llama3}, {"yarn", scale_yarn},
};

bool rope_prepare(RopeConfig *r, int64_t head_dim, Error *err)
{
    if (head_dim < 2 || head_dim % 2 != 0 || head_dim / 2 > ROPE_MAX_PAIRS)
        return fail(err, ERR_INVALID,
                    "rope: heads of %lld values; even numbers up to %d are possible",
                    (long long)head_dim, 2 * ROPE_MAX_PAIRS);
    r->pairs = head_dim / 2;
    r->scale = 1;
    for (int64_t i = 0; i < r->pairs; i++)
        r->freqs[i] = 1 / powf(r->theta, (float)(2 * i) / (float)head_dim);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strcmp(kinds[i].name, r->kind) == 0)
            return kinds[i].scale(r, err);
    return fail(err, ERR_UNSUPPORTED,
                "rope of kind '%s'; there are default, linear, dynamic, llama3 and yarn", r->kind);
}
