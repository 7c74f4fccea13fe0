/* prefixes.c: remembered prefixes; see batch_internal.h.
 *
 * A node is one page: the tokens that it holds, behind those of its parents. Only a leaf may be
 * partly filled, and it is replaced when more of the same tokens come. All nodes are in one list,
 * the most recently used first; a use of a node is also one of its parents, later, so that the last
 * in the list is always a leaf. */
#include "generate/batch_internal.h"

typedef struct Node {
    struct Node *parent, *child, *sibling; // child: the first
    struct Node *newer, *older;
    int32_t page;
    int n;
    int32_t ids[KV_PAGE];
} Node;

struct Prefixes {
    KvCache *cache;
    Node root; // without tokens
    Node *newest, *oldest;
    size_t n, max;
    int32_t *found; // of prefixes_find
    size_t cap_found;
};

Prefixes *prefixes_new(KvCache *cache, size_t max_pages)
{
    Prefixes *p = xcalloc(1, sizeof *p);
    p->cache = cache;
    p->max = max_pages;
    return p;
}

void prefixes_free(Prefixes *p)
{
    if (!p)
        return;
    for (Node *n = p->newest, *older; n; n = older) {
        older = n->older;
        kv_page_unref(p->cache, n->page);
        free(n);
    }
    free(p->found);
    free(p);
}

size_t prefixes_pages(const Prefixes *p)
{
    return p ? p->n : 0;
}

static void unlink_use(Prefixes *p, Node *n)
{
    *(n->newer ? &n->newer->older : &p->newest) = n->older;
    *(n->older ? &n->older->newer : &p->oldest) = n->newer;
}

static void link_use(Prefixes *p, Node *n)
{
    n->newer = NULL;
    n->older = p->newest;
    *(p->newest ? &p->newest->newer : &p->oldest) = n;
    p->newest = n;
}

/* The node, then its parents, become the most recently used. */
static void touch(Prefixes *p, Node *n)
{
    for (; n != &p->root; n = n->parent) {
        unlink_use(p, n);
        link_use(p, n);
    }
}

static void remove_leaf(Prefixes *p, Node *n)
{
    Node **at = &n->parent->child;
    while (*at != n)
        at = &(*at)->sibling;
    *at = n->sibling;
    unlink_use(p, n);
    kv_page_unref(p->cache, n->page);
    p->n--;
    free(n);
}

/* Leaves whose page a sequence still uses free no memory. */
bool prefixes_evict(Prefixes *p)
{
    for (Node *n = p ? p->oldest : NULL; n; n = n->newer)
        if (!n->child && kv_page_refs(p->cache, n->page) == 1) {
            remove_leaf(p, n);
            return true;
        }
    return false;
}

static int common(const Node *n, const int32_t *ids, size_t left)
{
    int same = 0, most = (int)MIN((size_t)n->n, left);
    while (same < most && n->ids[same] == ids[same])
        same++;
    return same;
}

/* The child that shares the most of the tokens. */
static Node *best_child(const Node *parent, const int32_t *ids, size_t left, int *same)
{
    Node *best = NULL;
    *same = 0;
    for (Node *n = parent->child; n && *same < KV_PAGE; n = n->sibling) {
        int c = common(n, ids, left);
        if (c > *same) {
            *same = c;
            best = n;
        }
    }
    return best;
}

size_t prefixes_find(Prefixes *p, const int32_t *ids, size_t n, const int32_t **pages)
{
    size_t known = 0, found = 0;
    Node *at = &p->root;
    for (int same = KV_PAGE; same == KV_PAGE && known < n; known += (size_t)same) {
        Node *child = best_child(at, ids + known, n - known, &same);
        if (!child)
            break;
        if (found == p->cap_found) {
            p->cap_found = p->cap_found ? 2 * p->cap_found : 64;
            p->found = xrealloc(p->found, p->cap_found * sizeof *p->found);
        }
        p->found[found++] = child->page;
        at = child;
    }
    touch(p, at);
    *pages = p->found;
    return known;
}

static Node *add_child(Prefixes *p, Node *parent, const int32_t *ids, int n, int32_t page)
{
    Node *child = xcalloc(1, sizeof *child);
    *child = (Node){.parent = parent, .sibling = parent->child, .page = page, .n = n};
    memcpy(child->ids, ids, (size_t)n * sizeof *ids);
    kv_page_ref(p->cache, page);
    parent->child = child;
    link_use(p, child);
    p->n++;
    return child;
}

/* A partly filled leaf whose tokens are now known with more behind them. */
static void refill(Prefixes *p, Node *n, const int32_t *ids, int more, int32_t page)
{
    kv_page_ref(p->cache, page);
    kv_page_unref(p->cache, n->page);
    n->page = page;
    n->n = more;
    memcpy(n->ids, ids, (size_t)more * sizeof *ids);
}

void prefixes_put(Prefixes *p, const int32_t *ids, size_t n, const int32_t *pages)
{
    Node *at = &p->root;
    for (size_t done = 0; done < n; done += KV_PAGE, pages++) {
        int here = (int)MIN(n - done, (size_t)KV_PAGE), same;
        Node *child = best_child(at, ids + done, (size_t)here, &same);
        if (!child || (same < here && same < child->n))
            child = add_child(p, at, ids + done, here, *pages);
        else if (child->n < here)
            refill(p, child, ids + done, here, *pages);
        at = child;
    }
    touch(p, at);
    while (p->n > p->max && prefixes_evict(p))
        ;
}
