/* page_list.c: lists of models, datasets and Spaces with filters at the side, and profiles.
 *
 * Filters live in the address. All of them are tags of the repositories; the parameter's name only
 * says under which heading a tag stands. */
#include "web/web_internal.h"

#include "base/encode.h"

enum { PAGE_SIZE = 30, MAX_FILTERS = 20, FACET_SIZE = 12 };

/* Headings of filters. A tag stands under the first one that claims it. */
static const struct Facet {
    const char *param, *title, *prefix; // prefix: of the tag, not shown
    const char *words;                  // tags without a prefix, with spaces around each
} facets[] = {
    {"pipeline_tag", "Task", "task_categories:",
     " text-generation text2text-generation text-classification token-classification "
     "question-answering table-question-answering zero-shot-classification translation "
     "summarization feature-extraction fill-mask sentence-similarity text-ranking text-to-image "
     "image-to-text image-to-image image-text-to-text image-classification image-segmentation "
     "object-detection depth-estimation unconditional-image-generation text-to-video "
     "video-classification text-to-speech text-to-audio automatic-speech-recognition "
     "audio-to-audio "
     "audio-classification voice-activity-detection visual-question-answering "
     "document-question-answering reinforcement-learning robotics tabular-classification "
     "tabular-regression any-to-any zero-shot-image-classification mask-generation "},
    {"library", "Library", "library:",
     " transformers diffusers safetensors pytorch tf jax gguf onnx keras peft timm "
     "sentence-transformers tensorboard spacy flair fastai mlx gradio docker static streamlit "
     "datasets "},
    {"language", "Language", "language:", ""},
    {"license", "License", "license:", ""},
    {"size", "Size", "size_categories:", ""},
    {"format", "Format", "format:", ""},
    {"other", "Tag", "", ""},
};
enum { FACET_LANGUAGE = 2, FACET_OTHER = 6 };

typedef struct Filters {
    RepoKind kind;
    Str search, sort, author, cursor, parameters;
    Str params[MAX_FILTERS], tags[MAX_FILTERS];
    size_t n;
} Filters;

static bool has_word(const char *words, Str word)
{
    const char *p = words;
    while ((p = memmem(p, strlen(p), word.ptr, word.len))) {
        if (p > words && p[-1] == ' ' && p[word.len] == ' ')
            return true;
        p++;
    }
    return false;
}

static bool is_language(Str tag)
{
    if (tag.len < 2 || tag.len > 3)
        return false;
    for (size_t i = 0; i < tag.len; i++)
        if (tag.ptr[i] < 'a' || tag.ptr[i] > 'z')
            return false;
    return true;
}

/* The heading of a tag, or -1 for tags that say nothing to a reader. */
static int facet_of(Str tag)
{
    static const char *const dull[] = {"region:",
                                       "base_model:",
                                       "arxiv:",
                                       "dataset:",
                                       "modality:",
                                       "endpoints_compatible",
                                       "text-generation-inference"};
    for (size_t i = 0; i < COUNT(dull); i++)
        if (str_starts(tag, str_of(dull[i])))
            return -1;
    for (size_t i = 0; i < FACET_OTHER; i++) {
        const struct Facet *f = &facets[i];
        if (str_starts(tag, str_of(f->prefix)) || (tag.len && has_word(f->words, tag)))
            return (int)i;
    }
    return is_language(tag)                         ? FACET_LANGUAGE
           : str_find_char(tag, ':', 0) == SIZE_MAX ? FACET_OTHER
                                                    : -1;
}

static void read_filters(Request *r, Filters *f)
{
    const Params *query = request_query(r);
    f->search = request_query_get(r, "search");
    f->sort = request_query_get(r, "sort");
    f->author = request_query_get(r, "author");
    f->cursor = request_query_get(r, "cursor");
    f->parameters = request_query_get(r, "num_parameters");
    for (size_t i = 0; i < query->n; i++)
        for (size_t k = 0; k < COUNT(facets); k++)
            if (str_eq(query->items[i].name, str_of(facets[k].param)) &&
                query->items[i].value.len && f->n < MAX_FILTERS) {
                f->params[f->n] = query->items[i].name;
                f->tags[f->n++] = query->items[i].value;
            }
}

static void add_param(Buf *out, Str name, Str value)
{
    if (!value.len)
        return;
    buf_add_char(out, str_find_char(buf_str(out), '?', 0) == SIZE_MAX ? '?' : '&');
    buf_add(out, name);
    buf_add_char(out, '=');
    url_encode(out, value, "");
}

/* What differs in a link from the list that is shown. */
typedef struct Step {
    size_t without; // this filter; SIZE_MAX: none
    Str name, tag;  // one more filter
    Str sort;       // empty: as it is
    Str cursor;
    bool sized; // with these parameters, not those of the list
    Str parameters;
} Step;

static json_t *address(const Filters *f, const Step *step)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "/%s", repo_kind_info(f->kind)->plural);
    add_param(&out, S("search"), f->search);
    add_param(&out, S("author"), f->author);
    for (size_t i = 0; i < f->n; i++)
        if (i != step->without)
            add_param(&out, f->params[i], f->tags[i]);
    add_param(&out, step->name, step->tag);
    add_param(&out, S("num_parameters"), step->sized ? step->parameters : f->parameters);
    add_param(&out, S("sort"), step->sort.len ? step->sort : f->sort);
    add_param(&out, S("cursor"), step->cursor);
    return json_from_str(buf_str(&out));
}

static Str shown_tag(const struct Facet *f, Str tag)
{
    Str prefix = str_of(f->prefix);
    return prefix.len && str_starts(tag, prefix) ? str_slice(tag, prefix.len, tag.len) : tag;
}

static size_t filter_at(const Filters *f, Str tag)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->tags[i], tag))
            return i;
    return SIZE_MAX;
}

/* One tag under its heading: a link that adds the filter, or takes it away. */
static json_t *facet_row(const Filters *f, const struct Facet *facet, const TagCount *count)
{
    size_t at = filter_at(f, count->tag);
    Step step = {.without = at};
    if (at == SIZE_MAX) {
        step.name = str_of(facet->param);
        step.tag = count->tag;
    }
    json_t *row = json_object();
    set(row, "label",
        facet == &facets[0] ? task_label(shown_tag(facet, count->tag))
                            : json_from_str(shown_tag(facet, count->tag)));
    set(row, "href", address(f, &step));
    set(row, "count", json_count(count->n));
    set(row, "on", json_boolean(at != SIZE_MAX));
    return row;
}

static json_t *facets_json(Request *r, const Filters *f)
{
    Error err = {0};
    TagCount *counts;
    size_t n;
    json_t *lists[COUNT(facets)], *out = json_array();
    for (size_t i = 0; i < COUNT(facets); i++)
        lists[i] = json_array();
    if (!repo_tag_counts(hub_of(r), request_arena(r), f->kind, 500, &counts, &n, &err))
        n = 0;
    for (size_t i = 0; i < n; i++) {
        int at = facet_of(counts[i].tag);
        bool on = filter_at(f, counts[i].tag) != SIZE_MAX;
        if (at >= 0 && (on || json_array_size(lists[at]) < FACET_SIZE))
            json_array_append_new(lists[at], facet_row(f, &facets[at], &counts[i]));
    }
    for (size_t i = 0; i < COUNT(facets); i++) {
        if (json_array_size(lists[i]))
            json_array_append_new(
                out, json_pack("{s:s, s:O}", "title", facets[i].title, "rows", lists[i]));
        json_decref(lists[i]);
    }
    return out;
}

static const struct {
    const char *name, *label;
} sorts[] = {
    {"trendingScore", "Trending"},     {"lastModified", "Recently updated"},
    {"createdAt", "Recently created"}, {"downloads", "Most downloads"},
    {"likes", "Most likes"},
};

static json_t *sorts_json(const Filters *f)
{
    json_t *out = json_array();
    for (size_t i = 0; i < COUNT(sorts); i++) {
        bool on = str_eq(f->sort, str_of(sorts[i].name)) || (!f->sort.len && i == 0);
        Step step = {.without = SIZE_MAX, .sort = str_of(sorts[i].name)};
        json_array_append_new(out, json_pack("{s:s, s:s, s:o, s:b}", "name", sorts[i].name, "label",
                                             sorts[i].label, "href", address(f, &step), "on", on));
    }
    return out;
}

/* Sizes of models to choose from. */
static const struct {
    const char *range, *label;
} sizes[] = {
    {"max:100M", "up to 100M"},    {"min:100M,max:1B", "100M to 1B"}, {"min:1B,max:3B", "1B to 3B"},
    {"min:3B,max:8B", "3B to 8B"}, {"min:8B,max:32B", "8B to 32B"},   {"min:32B", "32B and more"},
};

static json_t *sizes_json(const Filters *f)
{
    json_t *out = json_array();
    for (size_t i = 0; f->kind == REPO_MODEL && i < COUNT(sizes); i++) {
        bool on = str_eq(f->parameters, str_of(sizes[i].range));
        Step step = {.without = SIZE_MAX, .sized = true};
        if (!on)
            step.parameters = str_of(sizes[i].range);
        json_array_append_new(out, json_pack("{s:s, s:o, s:b}", "label", sizes[i].label, "href",
                                             address(f, &step), "on", on));
    }
    return out;
}

static bool find_items(Request *r, const Filters *f, RepoPage *found)
{
    Error err = {0};
    RepoQuery query = {.kind = f->kind,
                       .text = f->search,
                       .tags = f->tags,
                       .n_tags = f->n,
                       .author = f->author,
                       .limit = PAGE_SIZE,
                       .cursor = f->cursor};
    if (!parameter_range_parse(f->parameters, &query.parameters, &err)) {
        reply_error(r, &err);
        return false;
    }
    if (f->sort.len && !repo_sort_parse(f->sort, &query.sort)) {
        reply_failure(r, 400, "There is no such order");
        return false;
    }
    if (repo_list(hub_of(r), request_arena(r), web_viewer(r), &query, found, &err))
        return true;
    reply_error(r, &err);
    return false;
}

static json_t *chosen_json(const Filters *f)
{
    json_t *out = json_array();
    for (size_t i = 0; i < f->n; i++) {
        Step step = {.without = i};
        int at = facet_of(f->tags[i]);
        Str label = at < 0 ? f->tags[i] : shown_tag(&facets[at], f->tags[i]);
        json_t *chip = json_object();
        set_str(chip, "label", label);
        set_str(chip, "tag", f->tags[i]);
        set_str(chip, "param", f->params[i]);
        set(chip, "href", address(f, &step));
        json_array_append_new(out, chip);
    }
    return out;
}

static void list(Request *r, RepoKind kind)
{
    Filters f = {.kind = kind};
    RepoPage found;
    read_filters(r, &f);
    if (!find_items(r, &f, &found))
        return;
    json_t *page = page_new(r, repo_kind_info(kind)->title), *items = json_array();
    for (size_t i = 0; i < found.n; i++)
        json_array_append_new(items, item_json(&found.items[i]));
    set(page, "section", json_string(repo_kind_info(kind)->plural));
    set(page, "kind", json_string(repo_kind_info(kind)->name));
    set(page, "plural", json_string(repo_kind_info(kind)->plural));
    set(page, "items", items);
    set(page, "total", json_count(found.total));
    set(page, "facets", facets_json(r, &f));
    set(page, "chosen", chosen_json(&f));
    set(page, "sorts", sorts_json(&f));
    set(page, "sizes", sizes_json(&f));
    set_str(page, "parameters", f.parameters);
    set_str(page, "search", f.search);
    set_str(page, "author", f.author);
    set_str(page, "sort", f.sort);
    Step first = {.without = SIZE_MAX}, next = {.without = SIZE_MAX, .cursor = found.next};
    set(page, "first_href", f.cursor.len ? address(&f, &first) : json_string(""));
    set(page, "next_href", found.next.len ? address(&f, &next) : json_string(""));
    page_render(r, 200, "list", page);
}

static void models(Request *r)
{
    list(r, REPO_MODEL);
}

static void datasets(Request *r)
{
    list(r, REPO_DATASET);
}

static void spaces(Request *r)
{
    list(r, REPO_SPACE);
}

const Route web_list_routes[] = {
    {"GET", "/models", models, .summary = "List of models"},
    {"GET", "/datasets", datasets, .summary = "List of datasets"},
    {"GET", "/spaces", spaces, .summary = "List of Spaces"},
};
const size_t web_list_routes_n = COUNT(web_list_routes);
