/* tensor_view.c: a tree of tensors on a page of a bounded length; see tensor_view.h.
 *
 * Names are paths with dots. Modules are opened on the page, from the top, while ROWS lines last;
 * those that do not fit are links that begin the page at them. So a model of eight layers is one
 * page, and one of 100,000 tensors is a walk. */
#include "web/tensor_view.h"

#include "base/encode.h"
#include "web/web_internal.h"

enum { ROWS = 300, MAX_VALUE = 300, MAX_METADATA = 400, MAX_PATH = 1000 };

/* A module is a run of the tensors sorted by name: all that begin with its path. */
typedef struct Node {
    Str path, label;          // "model.layers.", "layers"
    const TensorInfo **items; // the run
    size_t tensors;           // how many
    int64_t n, bytes;         // of all of them
    const TensorInfo *tensor; // NULL: a module
    struct Node *children;    // where it is open
    size_t n_children;
    bool is_open;
} Node;

/* ---- The tree ---- */

static int name_order(const void *a, const void *b)
{
    const TensorInfo *x = *(const TensorInfo *const *)a, *y = *(const TensorInfo *const *)b;
    return str_cmp(x->name, y->name);
}

/* One child: the tensor or the module that the run `items` begins with. */
static Node node_at(const TensorInfo **items, size_t n, size_t prefix)
{
    Str name = items[0]->name;
    size_t dot = str_find_char(name, '.', prefix);
    bool leaf = dot == SIZE_MAX;
    Node node = {.path = leaf ? name : str_slice(name, 0, dot + 1),
                 .label = leaf && name.len > prefix ? str_slice(name, prefix, name.len)
                          : leaf                    ? name
                                                    : str_slice(name, prefix, dot),
                 .items = items,
                 .tensor = leaf ? items[0] : NULL};
    while (node.tensors < n &&
           (leaf ? node.tensors == 0 : str_starts(items[node.tensors]->name, node.path))) {
        node.n += items[node.tensors]->n;
        node.bytes += items[node.tensors++]->bytes;
    }
    return node;
}

/* "layers.2" before "layers.10": numbers by value, the rest by name. */
static int node_order(const void *a, const void *b)
{
    const Node *x = a, *y = b;
    int64_t m, n;
    bool x_is = str_to_int(x->label, 0, INT64_MAX, &m),
         y_is = str_to_int(y->label, 0, INT64_MAX, &n);
    if (x_is && y_is && m != n)
        return m < n ? -1 : 1;
    if (x_is != y_is)
        return x_is ? -1 : 1;
    int order = str_cmp(x->label, y->label);
    return order ? order : (x->tensor == NULL) - (y->tensor == NULL);
}

static void node_open(Arena *a, Node *node)
{
    size_t n = 0;
    for (size_t at = 0; at < node->tensors; n++)
        at += node_at(node->items + at, node->tensors - at, node->path.len).tensors;
    node->children = NEW_ARRAY(a, Node, n);
    for (size_t at = 0; at < node->tensors; node->n_children++) {
        Node *child = &node->children[node->n_children];
        *child = node_at(node->items + at, node->tensors - at, node->path.len);
        at += child->tensors;
    }
    if (n)
        qsort(node->children, n, sizeof(Node), node_order);
}

/* Opens modules level by level as long as their children fit. */
static void tree_open(Arena *a, Node *root, size_t from)
{
    size_t rows = MIN(root->n_children - from, (size_t)ROWS), n = 0;
    Node **queue = NEW_ARRAY(a, Node *, ROWS + 1);
    for (size_t i = 0; i < rows; i++)
        queue[n++] = &root->children[from + i];
    for (size_t i = 0; i < n; i++) {
        Node *node = queue[i];
        if (node->tensor)
            continue;
        node_open(a, node);
        if (rows + node->n_children > ROWS)
            continue;
        node->is_open = true;
        rows += node->n_children;
        for (size_t k = 0; k < node->n_children; k++)
            queue[n++] = &node->children[k];
    }
}

/* ---- As rows ---- */

static const char *shape_text(Arena *a, const TensorInfo *t)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    for (int i = 0; i < t->rank; i++)
        buf_printf(&out, "%s%lld", i ? " × " : "", (long long)t->dims[i]);
    return t->rank ? arena_cstr(a, buf_str(&out)) : "scalar";
}

/* This page with other parameters. */
static const char *link_to(Request *r, const char *key, Str value, size_t from)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "?%s=", key);
    url_encode(&out, value, "");
    if (from)
        buf_printf(&out, "&from=%zu", from);
    return arena_cstr(request_arena(r), buf_str(&out));
}

static json_t *tensor_row(Request *r, const Tensors *tensors, const TensorInfo *t, Str label)
{
    json_t *row = json_pack("{s:s, s:s, s:o, s:o}", "kind", "tensor", "shape",
                            shape_text(request_arena(r), t), "count", json_count(t->n), "bytes",
                            json_size(t->bytes));
    set_str(row, "name", t->name);
    set_str(row, "label", label);
    set_str(row, "dtype", t->dtype);
    set_str(row, "file", tensors->n_files > 1 ? tensors->files[t->file].path : (Str){0});
    return row;
}

static void rows_add(Request *r, json_t *rows, const Tensors *tensors, const Node *node, bool open)
{
    if (node->tensor) {
        json_array_append_new(rows, tensor_row(r, tensors, node->tensor, node->label));
        return;
    }
    Str module = str_slice(node->path, 0, node->path.len - 1); // without its dot
    json_t *row = json_pack("{s:s, s:o, s:I, s:o, s:b}", "kind", node->is_open ? "open" : "link",
                            "count", json_count(node->n), "tensors", (json_int_t)node->tensors,
                            "bytes", json_size(node->bytes), "open", open);
    set_str(row, "label", node->label);
    set_str(row, "name", module);
    set(row, "url", json_string(link_to(r, "in", module, 0)));
    json_array_append_new(rows, row);
    if (!node->is_open)
        return;
    for (size_t i = 0; i < node->n_children; i++)
        rows_add(r, rows, tensors, &node->children[i], open && node->n_children == 1);
    json_array_append_new(rows, json_pack("{s:s}", "kind", "close"));
}

/* The module ?in=, or the root. */
static void show_tree(Request *r, json_t *view, const Tensors *tensors, Str module, size_t from)
{
    Arena *a = request_arena(r);
    Node root = {.items = NEW_ARRAY(a, const TensorInfo *, tensors->n)};
    root.path = module.len ? str_of(arena_printf(a, "%.*s.", STR(module))) : (Str){0};
    for (size_t i = 0; i < tensors->n; i++)
        if (str_starts(tensors->items[i].name, root.path))
            root.items[root.tensors++] = &tensors->items[i];
    if (root.tensors)
        qsort(root.items, root.tensors, sizeof *root.items, name_order);
    node_open(a, &root);
    json_t *rows = json_array();
    from = MIN(from, root.n_children);
    tree_open(a, &root, from);
    size_t to = MIN(from + ROWS, root.n_children);
    for (size_t i = from; i < to; i++)
        rows_add(r, rows, tensors, &root.children[i], root.n_children <= 8);
    set(view, "rows", rows);
    set(view, "found", json_integer((json_int_t)root.tensors));
    set(view, "before",
        json_string(from ? link_to(r, "in", module, from > ROWS ? from - ROWS : 0) : ""));
    set(view, "after", json_string(to < root.n_children ? link_to(r, "in", module, to) : ""));
}

static bool name_has(Str name, Str words)
{
    for (size_t i = 0; i + words.len <= name.len; i++)
        if (str_eq_nocase(str_slice(name, i, i + words.len), words))
            return true;
    return false;
}

/* Those whose name has the words in it, as a flat list. */
static void show_found(Request *r, json_t *view, const Tensors *tensors, Str words, size_t from)
{
    json_t *rows = json_array();
    size_t found = 0;
    for (size_t i = 0; i < tensors->n; i++) {
        const TensorInfo *t = &tensors->items[i];
        if (!name_has(t->name, words))
            continue;
        if (found >= from && found < from + ROWS)
            json_array_append_new(rows, tensor_row(r, tensors, t, t->name));
        found++;
    }
    set(view, "rows", rows);
    set(view, "found", json_integer((json_int_t)found));
    set(view, "before",
        json_string(from ? link_to(r, "q", words, from > ROWS ? from - ROWS : 0) : ""));
    set(view, "after", json_string(from + ROWS < found ? link_to(r, "q", words, from + ROWS) : ""));
}

/* ---- What is said above them ---- */

static json_t *types_json(const Tensors *tensors)
{
    json_t *out = json_array();
    for (size_t i = 0; i < tensors->n_types; i++) {
        const TensorType *t = &tensors->types[i];
        json_t *row =
            json_pack("{s:I, s:o, s:o, s:i}", "tensors", (json_int_t)t->tensors, "count",
                      json_count(t->n), "bytes", json_size(t->bytes), "percent",
                      tensors->bytes ? (int)((double)t->bytes * 100 / (double)tensors->bytes) : 0);
        set_str(row, "dtype", t->dtype);
        json_array_append_new(out, row);
    }
    return out;
}

static void metadata_add(json_t *out, const json_t *metadata)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        AUTO_BUF text;
        buf_init(&text, 0);
        if (json_array_size(out) == MAX_METADATA)
            return;
        if (json_is_string(value))
            buf_add(&text, str_of(json_string_value(value)));
        else if (json_object_size(value) == 1 && json_object_get(value, "length"))
            buf_printf(&text, "%lld items", (long long)json_int(value, "length", 0));
        else
            json_write(&text, value);
        Str shown = text_cut(buf_str(&text), MAX_VALUE);
        bool cut = shown.len < text.len;
        json_array_append_new(out, json_pack("{s:s, s:o, s:b}", "key", key, "value",
                                             json_from_str(shown), "cut", cut));
    }
}

/* "model.layers.3" as links to each module on the way. */
static json_t *modules_json(Request *r, Str module)
{
    json_t *out = json_array();
    for (size_t start = 0; module.len && start <= module.len;) {
        size_t end = MIN(str_find_char(module, '.', start), module.len);
        json_t *part = json_object();
        set_str(part, "label", str_slice(module, start, end));
        set(part, "url", json_string(link_to(r, "in", str_slice(module, 0, end), 0)));
        json_array_append_new(out, part);
        start = end + 1;
    }
    return out;
}

json_t *tensor_view(Request *r, const Tensors *tensors)
{
    Str words = str_slice(request_query_get(r, "q"), 0, MAX_PATH);
    Str module = str_slice(request_query_get(r, "in"), 0, MAX_PATH);
    int64_t from = 0;
    if (!str_to_int(request_query_get(r, "from"), 0, 1 << 20, &from))
        from = 0;
    json_t *metadata = json_array();
    metadata_add(metadata, tensors->index);
    if (tensors->n_files && (!tensors->index || tensors->n_files == 1))
        metadata_add(metadata, tensors->files[0].metadata);
    json_t *view =
        json_pack("{s:o, s:o, s:I, s:I, s:o, s:o}", "total", json_count(tensors->total), "bytes",
                  json_size(tensors->bytes), "n", (json_int_t)tensors->n, "files",
                  (json_int_t)tensors->n_files, "types", types_json(tensors), "metadata", metadata);
    set(view, "modules", modules_json(r, words.len ? (Str){0} : module));
    set_str(view, "query", words);
    if (words.len)
        show_found(r, view, tensors, words, (size_t)from);
    else
        show_tree(r, view, tensors, module, (size_t)from);
    return view;
}
