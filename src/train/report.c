/* report.c: what a training leaves for people: loss.html, a page of its own with curves drawn as
 * SVG, and README.md, the model's card. */
#include "base/encode.h"
#include "base/file.h"
#include "train/train_internal.h"

#include <math.h>

enum { WIDTH = 880, HEIGHT = 320, LEFT = 56, RIGHT = 16, TOP = 16, BOTTOM = 32, POINTS = 600 };

static const char style[] =
    ":root{color-scheme:light dark;--bg:light-dark(#faf8f5,#151412);"
    "--surface:light-dark(#fff,#1d1b18);--line:light-dark(#e5e0d8,#36322c);"
    "--text:light-dark(#1e1b17,#ede8e0);--muted:light-dark(#655f56,#aaa297);"
    "--a:light-dark(#a93a17,#ff9c70);--b:light-dark(#0b5a86,#87c1e8)}"
    "body{margin:0;padding:32px 24px;background:var(--bg);color:var(--text);font:15px/1.55 "
    "system-ui,sans-serif;font-variant-numeric:tabular-nums}"
    "main{max-width:928px;margin:0 auto}h1{font-size:26px;margin:0 0 8px}"
    "h2{font-size:18px;margin:32px 0 8px}p{color:var(--muted);margin:0 0 16px}"
    "figure{margin:0;padding:16px;border:1px solid var(--line);border-radius:10px;"
    "background:var(--surface)}svg{width:100%;height:auto;display:block}"
    "text{fill:var(--muted);font-size:12px}.grid{stroke:var(--line)}"
    ".train{stroke:var(--a);fill:none;stroke-width:1.8}"
    ".eval{stroke:var(--b);fill:none;stroke-width:1.8;stroke-dasharray:6 4}"
    ".dot{fill:var(--b)}figcaption{margin-top:8px;color:var(--muted)}"
    "b.t{color:var(--a)}b.e{color:var(--b)}"
    "table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}"
    "th,td{text-align:right;padding:4px 16px 4px 0;border-bottom:1px solid var(--line)}"
    "th{font-weight:600}";

/* A curve's points, or a chart's range. */
typedef struct Curve {
    double x[POINTS], y[POINTS];
    int n;
} Curve;

typedef struct Chart {
    double x0, x1, y0, y1;
} Chart;

static double place_x(const Chart *c, double x)
{
    return LEFT + (x - c->x0) / MAX(c->x1 - c->x0, 1e-300) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const Chart *c, double y)
{
    return HEIGHT - BOTTOM - (y - c->y0) / MAX(c->y1 - c->y0, 1e-300) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, such that a range has about five. */
static double tick_of(double range)
{
    double rough = range / 5, power = pow(10, floor(log10(rough)));
    double digit = rough / power;
    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

static void draw_axes(Buf *out, const Chart *c)
{
    double step = tick_of(MAX(c->y1 - c->y0, 1e-12));
    for (double y = ceil(c->y0 / step) * step; y <= c->y1 + step * 1e-9; y += step) {
        double at = place_y(c, y);
        buf_printf(out, "<path class=grid d='M%d %.1fH%d'/>", LEFT, at, WIDTH - RIGHT);
        buf_printf(out, "<text x=%d y=%.1f text-anchor=end>%.3g</text>", LEFT - 8, at + 4,
                   fabs(y) < step / 2 ? 0.0 : y);
    }
    step = MAX(tick_of(MAX(c->x1 - c->x0, 1)), 1);
    for (double x = ceil(c->x0 / step) * step; x <= c->x1 + step * 1e-9; x += step)
        buf_printf(out, "<text x=%.1f y=%d text-anchor=middle>%.0f</text>", place_x(c, x),
                   HEIGHT - 8, x);
}

static void draw_curve(Buf *out, const Chart *c, const Curve *curve, const char *class)
{
    buf_printf(out, "<path class=%s d='", class);
    for (int i = 0; i < curve->n; i++)
        buf_printf(out, "%c%.1f %.1f", i ? 'L' : 'M', place_x(c, curve->x[i]),
                   place_y(c, curve->y[i]));
    buf_add(out, S("'/>"));
}

/* The loss of each update; of many, means of equally many each. */
static void loss_curve(const Trainer *t, Curve *out)
{
    int64_t each = (t->step + POINTS - 1) / POINTS;
    for (int64_t from = 0; from < t->step; from += each) {
        int64_t to = MIN(from + each, t->step);
        double sum = 0;
        for (int64_t i = from; i < to; i++)
            sum += (double)t->curve[i];
        out->x[out->n] = (double)(from + to + 1) / 2;
        out->y[out->n++] = sum / (double)(to - from);
    }
}

static void eval_curve(const Trainer *t, Curve *out)
{
    size_t i;
    json_t *entry;
    json_array_foreach(t->log_history, i, entry)
    {
        if (!json_object_get(entry, "eval_loss") || out->n == POINTS)
            continue;
        out->x[out->n] = (double)json_int(entry, "step", 0);
        out->y[out->n++] = json_num(entry, "eval_loss", 0);
    }
}

static void lr_curve(const Trainer *t, Curve *out)
{
    int64_t each = (t->steps + POINTS - 1) / POINTS;
    for (int64_t i = 0; i < t->steps; i += each) {
        out->x[out->n] = (double)(i + 1);
        out->y[out->n++] = trainer_lr(t, i);
    }
}

static void widen(Chart *c, const Curve *curve)
{
    for (int i = 0; i < curve->n; i++) {
        c->x1 = MAX(c->x1, curve->x[i]);
        c->y0 = MIN(c->y0, curve->y[i]);
        c->y1 = MAX(c->y1, curve->y[i]);
    }
}

static void draw_losses(const Trainer *t, Buf *out)
{
    Curve train = {.n = 0}, eval = {.n = 0};
    loss_curve(t, &train);
    eval_curve(t, &eval);
    Chart c = {.x0 = 0, .x1 = (double)t->steps, .y0 = INFINITY, .y1 = -INFINITY};
    widen(&c, &train);
    widen(&c, &eval);
    double margin = MAX((c.y1 - c.y0) * 0.05, 1e-6);
    c.y0 = MAX(c.y0 - margin, 0);
    c.y1 += margin;
    buf_printf(out,
               "<h2>Loss</h2><figure><svg viewBox='0 0 %d %d' role=img aria-label='Loss by "
               "update'>",
               WIDTH, HEIGHT);
    draw_axes(out, &c);
    draw_curve(out, &c, &train, "train");
    if (eval.n > 0)
        draw_curve(out, &c, &eval, "eval");
    for (int i = 0; i < eval.n; i++)
        buf_printf(out,
                   "<circle class=dot cx=%.1f cy=%.1f r=3><title>step %.0f: %.4f</title></circle>",
                   place_x(&c, eval.x[i]), place_y(&c, eval.y[i]), eval.x[i], eval.y[i]);
    buf_add(out, S("</svg><figcaption><b class=t>training</b>"));
    if (eval.n > 0)
        buf_add(out, S(" and <b class=e>held-out examples</b>"));
    buf_add(out, S(", by update</figcaption></figure>"));
}

static void draw_lr(const Trainer *t, Buf *out)
{
    Curve lr = {.n = 0};
    lr_curve(t, &lr);
    Chart c = {.x0 = 0, .x1 = (double)t->steps, .y0 = 0, .y1 = 0};
    widen(&c, &lr);
    c.y1 *= 1.05;
    buf_printf(out,
               "<h2>Learning rate</h2><figure><svg viewBox='0 0 %d %d' role=img "
               "aria-label='Learning rate by update'>",
               WIDTH, HEIGHT);
    draw_axes(out, &c);
    draw_curve(out, &c, &lr, "train");
    buf_printf(out, "</svg><figcaption>%s, by update</figcaption></figure>",
               t->args.lr_scheduler_type);
}

static void cell(Buf *out, const json_t *entry, const char *key, const char *format)
{
    buf_add(out, S("<td>"));
    const json_t *value = json_object_get(entry, key);
    if (json_is_number(value)) {
        char text[40];
        snprintf(text, sizeof text, format, json_number_value(value));
        buf_add(out, str_of(text));
    }
}

/* The curves' figures; of a long log the last rows. */
static void draw_table(const Trainer *t, Buf *out)
{
    enum { ROWS = 200 };
    size_t n = json_array_size(t->log_history), first = n > ROWS ? n - ROWS : 0;
    buf_add(out, S("<h2>Figures</h2><table><tr><th>step<th>epoch<th>loss<th>gradient norm"
                   "<th>learning rate<th>held-out loss<th>perplexity"));
    for (size_t i = first; i < n; i++) {
        const json_t *entry = json_array_get(t->log_history, i);
        if (!json_object_get(entry, "loss") && !json_object_get(entry, "eval_loss"))
            continue;
        buf_add(out, S("<tr>"));
        cell(out, entry, "step", "%.0f");
        cell(out, entry, "epoch", "%.2f");
        cell(out, entry, "loss", "%.4f");
        cell(out, entry, "grad_norm", "%.3f");
        cell(out, entry, "learning_rate", "%.2e");
        cell(out, entry, "eval_loss", "%.4f");
        cell(out, entry, "eval_perplexity", "%.2f");
    }
    buf_add(out, S("</table>"));
}

static Str name_of(const char *path)
{
    Str p = str_of(path);
    while (p.len > 1 && p.ptr[p.len - 1] == '/')
        p.len--;
    return path_name(p);
}

static bool write_page(const Trainer *t, const TrainResult *r, const char *path, Error *err)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_add(&out, S("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
                    "content='width=device-width,initial-scale=1'><title>Training of "));
    html_escape(&out, name_of(t->spec->output));
    buf_printf(&out, "</title><style>%s</style><main><h1>Training of ", style);
    html_escape(&out, name_of(t->spec->output));
    char spent[SIZE_TEXT];
    duration_format((int64_t)(r->seconds * 1e9), spent);
    buf_printf(&out,
               "</h1><p>%lld updates, %.2f epochs, %lld tokens, %.1f million parameters; the last "
               "run took %s at %.0f tokens a second.</p>",
               (long long)t->step, trainer_epoch(t), (long long)t->tokens_seen,
               (double)learner_values(t->learner) / 1e6, spent, (double)r->tokens / r->seconds);
    draw_losses(t, &out);
    draw_lr(t, &out);
    draw_table(t, &out);
    buf_add(&out, S("</main></html>\n"));
    return buf_ok(&out, err) && file_write_atomic(path, buf_str(&out), 0644, err);
}

/* ---- The card ---- */

static void yaml_text(Buf *out, Str text)
{
    AUTO(json_decref) json_t *quoted = json_from_str(text); // JSON's quotes are YAML's too
    json_write(out, quoted);
}

static void card_arguments(const Trainer *t, Buf *out)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    TrainingArguments defaults;
    CHECK(training_arguments_read(&defaults, NULL, a, NULL));
    AUTO(json_decref) json_t *ours = training_arguments_json(&t->args);
    AUTO(json_decref) json_t *theirs = training_arguments_json(&defaults);
    buf_add(out, S("## Training arguments\n\nOthers are the defaults of TrainingArguments.\n\n"
                   "| argument | value |\n| --- | --- |\n"));
    static const char *const always[] = {"learning_rate", "per_device_train_batch_size", "seed",
                                         "optim", "lr_scheduler_type"};
    const char *key;
    json_t *value;
    json_object_foreach(ours, key, value)
    {
        bool shown = !json_equal(value, json_object_get(theirs, key));
        for (size_t i = 0; i < COUNT(always); i++)
            shown = shown || strcmp(key, always[i]) == 0;
        if (!shown)
            continue;
        buf_printf(out, "| %s | `", key);
        AUTO_BUF text;
        buf_init(&text, 0);
        if (json_is_real(value))
            buf_printf(&text, "%g", json_real_value(value));
        else
            json_write(&text, value);
        buf_add(out, buf_str(&text));
        buf_add(out, S("` |\n"));
    }
}

static void card_results(const Trainer *t, Buf *out)
{
    buf_add(out, S("## Results\n\n| step | epoch | held-out loss | perplexity |\n| ---: | ---: | "
                   "---: | ---: |\n"));
    size_t i;
    json_t *entry;
    json_array_foreach(t->log_history, i, entry)
    {
        if (json_object_get(entry, "eval_loss"))
            buf_printf(out, "| %lld | %.2f | %.4f | %.2f |\n",
                       (long long)json_int(entry, "step", 0), json_num(entry, "epoch", 0),
                       json_num(entry, "eval_loss", 0), json_num(entry, "eval_perplexity", 0));
    }
    buf_add_char(out, '\n');
}

/* The front matter. A model that was trained further names the one it comes from, if that has a
 * name: a path of this machine is none. */
static void card_head(const Trainer *t, Buf *out)
{
    bool adapter = weights_lora(t->model->weights) != NULL;
    buf_printf(out, "---\nlibrary_name: %s\npipeline_tag: text-generation\n",
               adapter ? "peft" : "transformers");
    const char *base = t->spec->model_name ? t->spec->model_name : t->spec->model;
    if (!t->from_scratch && !file_exists(base)) {
        buf_add(out, S("base_model: "));
        yaml_text(out, str_of(base));
        buf_add_char(out, '\n');
    }
    buf_printf(out, "tags:\n- generated_from_trainer\n- hug\n%s---\n\n# ",
               adapter ? "- lora\n" : "");
}

static bool write_card(const Trainer *t, const TrainResult *r, const char *path, Error *err)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    card_head(t, &out);
    Str name = name_of(t->spec->output);
    buf_add(&out, name);
    buf_add(&out, S("\n\nA "));
    buf_printf(&out, "%s model of %.1f million parameters, trained with `hug train` ",
               t->model->architecture->name, (double)learner_values(t->learner) / 1e6);
    buf_add(&out, t->from_scratch ? S("from scratch with the configuration of ") : S("from "));
    yaml_text(&out, name_of(t->spec->model_name ? t->spec->model_name : t->spec->model));
    buf_add(&out, S(" on "));
    yaml_text(&out, name_of(t->spec->dataset));
    buf_printf(&out, ": %lld updates, %lld tokens. The mean loss was %.4f", (long long)t->step,
               (long long)t->tokens_seen, r->train_loss);
    if (r->eval_loss >= 0)
        buf_printf(&out, ", that of held-out examples %.4f (perplexity %.2f)", r->eval_loss,
                   exp(r->eval_loss));
    buf_add(&out, S(". The curves are in loss.html.\n\n```sh\nhug generate "));
    buf_add(&out, name);
    buf_add(&out, S(" \"Once upon a time\"\n```\n\n"));
    if (r->eval_loss >= 0)
        card_results(t, &out);
    card_arguments(t, &out);
    return buf_ok(&out, err) && file_write_atomic(path, buf_str(&out), 0644, err);
}

bool report_write(const Trainer *t, const TrainResult *result, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    return write_page(t, result, arena_printf(a, "%s/loss.html", t->spec->output), err) &&
           write_card(t, result, arena_printf(a, "%s/README.md", t->spec->output), err);
}
