/* bench_kernels.c: `hug bench kernels`: each kernel of each instruction set, on one core, beside
 * the limit of this machine that it runs into. The limits are measured in the same run. */
#include "cli/bench.h"

#include "base/json.h"
#include "tensor/kernel_speed.h"

typedef struct Options {
    bool limits, json;
} Options;

static const Option options[] = {
    FLAG(Options, limits, "--limits", "what this machine can at most, alone"),
    FLAG(Options, json, "--json",
         "an array of {\"set\", \"kernel\", \"rows\", \"inputs\", \"gflop_s\" or \"gop_s\" or "
         "\"gb_s\", \"bound\", \"of_limit\"}"),
};

/* "GFLOP/s" as the name of a figure. */
static const char *figure_name(const char *unit)
{
    return strcmp(unit, "GFLOP/s") == 0 ? "gflop_s" : strcmp(unit, "GOP/s") == 0 ? "gop_s" : "gb_s";
}

static void tell_text(const KernelTiming *t)
{
    if (!t->bound) {
        printf("%-12s limit %-22s %9.1f %s\n", t->set ? t->set : "", t->kernel, t->speed, t->unit);
        return;
    }
    printf("%-12s %-16s %3d x %5lld %9.1f %-8s %4.0f %% of %s\n", t->set, t->kernel, t->rows,
           (long long)t->inputs, t->speed, t->unit, 100 * t->speed / t->limit, t->bound);
}

static void tell_json(json_t *array, const KernelTiming *t)
{
    json_t *o = json_object();
    json_object_set_new(o, "set", t->set ? json_string(t->set) : json_null());
    json_object_set_new(o, t->bound ? "kernel" : "limit", json_string(t->kernel));
    json_object_set_new(o, figure_name(t->unit), json_real(t->speed));
    if (t->bound) {
        json_object_set_new(o, "rows", json_integer(t->rows));
        json_object_set_new(o, "inputs", json_integer(t->inputs));
        json_object_set_new(o, "bound", json_string(t->bound));
        json_object_set_new(o, "of_limit", json_real(t->speed / t->limit));
    }
    json_array_append_new(array, o);
}

static void tell(void *context, const KernelTiming *timing)
{
    if (context)
        tell_json(context, timing);
    else
        tell_text(timing);
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n > 1)
        return fail(err, ERR_USAGE, "'%s' is one argument too many", args[1]);
    AUTO(json_decref) json_t *array = o.json ? json_array() : NULL;
    kernel_timings(o.limits, tell, array);
    if (array) {
        json_dumpf(array, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    return true;
}

const Verb bench_kernels = {
    .name = "kernels",
    .synopsis = "[--limits] [--json]",
    .summary = "each kernel beside the limit of this machine",
    .options = options,
    .n_options = COUNT(options),
    .run = run,
};
