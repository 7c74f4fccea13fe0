/* schedule.c: how the learning rate goes; see arguments.h. Each formula is one line of a table, a
 * function of the update's number; the warm-up before it is the same for all that have one.
 * Source: transformers/optimization.py, whose factors these are to the last bit of a double. */
#include "train/arguments.h"

#include <math.h>

/* Where an update stands: `step` of `steps`, of which the first `warmup` warm up. */
typedef struct Moment {
    const TrainingArguments *args;
    double step, steps, warmup;
} Moment;

static double progress_of(const Moment *m)
{
    return (m->step - m->warmup) / MAX(1, m->steps - m->warmup);
}

static double cycles(const Moment *m, double otherwise)
{
    double given = m->args->lr_scheduler_kwargs.num_cycles;
    return given >= 0 ? given : otherwise;
}

static double linear(const Moment *m)
{
    return MAX(0, (m->steps - m->step) / MAX(1, m->steps - m->warmup));
}

static double cosine(const Moment *m)
{
    return MAX(0, 0.5 * (1 + cos(M_PI * cycles(m, 0.5) * 2 * progress_of(m))));
}

static double cosine_with_restarts(const Moment *m)
{
    double progress = progress_of(m);
    if (progress >= 1)
        return 0;
    return MAX(0, 0.5 * (1 + cos(M_PI * fmod(cycles(m, 1) * progress, 1))));
}

static double polynomial(const Moment *m)
{
    double first = m->args->learning_rate, last = m->args->lr_scheduler_kwargs.lr_end;
    if (m->step > m->steps)
        return last / first;
    double left = 1 - (m->step - m->warmup) / (m->steps - m->warmup);
    return ((first - last) * pow(left, m->args->lr_scheduler_kwargs.power) + last) / first;
}

static double constant(const Moment *m)
{
    return 1;
}

static double inverse_sqrt(const Moment *m)
{
    double scale = m->args->lr_scheduler_kwargs.timescale;
    if (scale <= 0)
        scale = m->warmup > 0 ? m->warmup : 10000;
    return 1 / sqrt((m->step + scale - m->warmup) / scale);
}

static double cosine_with_min_lr(const Moment *m)
{
    double least = m->args->lr_scheduler_kwargs.min_lr_rate;
    if (m->args->lr_scheduler_kwargs.min_lr >= 0)
        least = m->args->lr_scheduler_kwargs.min_lr / m->args->learning_rate;
    double factor = 0.5 * (1 + cos(M_PI * cycles(m, 0.5) * 2 * progress_of(m)));
    return MAX(0, factor * (1 - least) + least);
}

static double stable_steps(const Moment *m)
{
    int64_t given = m->args->lr_scheduler_kwargs.num_stable_steps;
    if (given >= 0)
        return (double)given;
    return m->steps - m->warmup - (double)m->args->lr_scheduler_kwargs.num_decay_steps;
}

static double warmup_stable_decay(const Moment *m)
{
    double decay = (double)m->args->lr_scheduler_kwargs.num_decay_steps, stable = stable_steps(m);
    double least = m->args->lr_scheduler_kwargs.min_lr_ratio, factor;
    const char *type = m->args->lr_scheduler_kwargs.decay_type;
    if (m->step < m->warmup + stable)
        return 1;
    if (m->step >= m->warmup + stable + decay)
        return least;
    double progress = (m->step - m->warmup - stable) / MAX(1, decay);
    if (strcmp(type, "linear") == 0)
        factor = 1 - progress;
    else if (strcmp(type, "cosine") == 0)
        factor = 0.5 * (1 + cos(M_PI * cycles(m, 0.5) * 2 * progress));
    else
        factor = 1 - sqrt(progress);
    return MAX(0, factor * (1 - least) + least);
}

/* Its warm-up starts at the least factor, and may bend. */
static double stable_warmup(const Moment *m)
{
    const char *type = m->args->lr_scheduler_kwargs.warmup_type;
    double least = m->args->lr_scheduler_kwargs.min_lr_ratio, factor = m->step / MAX(1, m->warmup);
    if (strcmp(type, "cosine") == 0)
        factor = 0.5 * (1 - cos(M_PI * factor));
    else if (strcmp(type, "1-sqrt") == 0)
        factor = 1 - sqrt(1 - factor);
    return MAX(0, factor * (1 - least) + least);
}

static double linear_warmup(const Moment *m)
{
    return m->step / MAX(1, m->warmup);
}

static const struct {
    double (*warmup)(const Moment *m), (*after)(const Moment *m);
} schedules[] = {
    [SCHEDULE_LINEAR] = {linear_warmup, linear},
    [SCHEDULE_COSINE] = {linear_warmup, cosine},
    [SCHEDULE_COSINE_WITH_RESTARTS] = {linear_warmup, cosine_with_restarts},
    [SCHEDULE_POLYNOMIAL] = {linear_warmup, polynomial},
    [SCHEDULE_CONSTANT] = {constant, constant},
    [SCHEDULE_CONSTANT_WITH_WARMUP] = {linear_warmup, constant},
    [SCHEDULE_INVERSE_SQRT] = {linear_warmup, inverse_sqrt},
    [SCHEDULE_COSINE_WITH_MIN_LR] = {linear_warmup, cosine_with_min_lr},
    [SCHEDULE_WARMUP_STABLE_DECAY] = {stable_warmup, warmup_stable_decay},
};

int64_t warmup_steps(const TrainingArguments *args, int64_t steps)
{
    double given = args->warmup_steps > 0 ? args->warmup_steps : args->warmup_ratio;
    return given >= 1 ? (int64_t)given : (int64_t)ceil((double)steps * given);
}

double schedule_factor(const TrainingArguments *args, int64_t step, int64_t steps)
{
    const Moment m = {.args = args,
                      .step = (double)step,
                      .steps = (double)steps,
                      .warmup = (double)warmup_steps(args, steps)};
    return m.step < m.warmup ? schedules[args->schedule].warmup(&m)
                             : schedules[args->schedule].after(&m);
}

bool schedule_check(const TrainingArguments *args, int64_t steps, Error *err)
{
    bool has_min = args->lr_scheduler_kwargs.min_lr >= 0,
         has_rate = args->lr_scheduler_kwargs.min_lr_rate >= 0;
    if (args->schedule == SCHEDULE_POLYNOMIAL &&
        args->learning_rate <= args->lr_scheduler_kwargs.lr_end)
        return fail(err, ERR_INVALID, "lr_end (%g) must be smaller than learning_rate (%g)",
                    args->lr_scheduler_kwargs.lr_end, args->learning_rate);
    if (args->schedule == SCHEDULE_COSINE_WITH_MIN_LR && has_min == has_rate)
        return fail(err, ERR_INVALID,
                    "cosine_with_min_lr needs lr_scheduler_kwargs.min_lr or .min_lr_rate");
    if (args->schedule != SCHEDULE_WARMUP_STABLE_DECAY)
        return true;
    const Moment m = {
        .args = args, .steps = (double)steps, .warmup = (double)warmup_steps(args, steps)};
    if (args->lr_scheduler_kwargs.num_decay_steps < 0)
        return fail(err, ERR_INVALID,
                    "warmup_stable_decay needs lr_scheduler_kwargs.num_decay_steps");
    return stable_steps(&m) >= 0 ||
           fail(err, ERR_INVALID, "%lld steps are fewer than those of warm-up and decay",
                (long long)steps);
}

int64_t steps_of(double value, int64_t steps)
{
    return MAX(1, value >= 1 ? (int64_t)value : (int64_t)ceil((double)steps * value));
}
