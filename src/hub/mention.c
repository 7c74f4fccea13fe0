/* mention.c: who is mentioned in a Markdown text; see mentions.h. The text is parsed as it is when
 * it is shown, so that nobody is called by what stands in code. */
#include "hub/mentions.h"

#include "hub/commonmark.h"

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

bool mention_next(Str text, size_t *from, size_t *at, Str *name)
{
    while ((*at = str_find_char(text, '@', *from)) != SIZE_MAX) {
        size_t end = *at + 1;
        char before = *at ? text.ptr[*at - 1] : ' ';
        while (end < text.len && is_name_char(text.ptr[end]))
            end++;
        *from = end;
        // A sentence may end behind a name.
        while (end > *at + 1 && strchr("-.", text.ptr[end - 1]))
            end--;
        *name = str_slice(text, *at + 1, end);
        bool apart = !is_name_char(before) && before != '@' && before != '/';
        if (apart && name->len && isalnum((unsigned char)name->ptr[0])) {
            *from = end;
            return true;
        }
    }
    *from = text.len;
    return false;
}

bool mentions_has(const Mentions *mentions, Str name)
{
    for (size_t i = 0; i < mentions->n; i++)
        if (str_eq_nocase(mentions->names[i], name))
            return true;
    return false;
}

typedef struct Found {
    Arena *arena;
    Mentions *out;
} Found;

static void take(void *user, cmark_node *node)
{
    Found *found = user;
    Mentions *out = found->out;
    Str name, text = str_of(cmark_node_get_literal(node));
    for (size_t from = 0, at; out->n < MAX_MENTIONS && mention_next(text, &from, &at, &name);)
        if (!mentions_has(out, name))
            out->names[out->n++] = arena_str(found->arena, name);
}

void mentions_find(Arena *a, Str markdown, Mentions *out)
{
    Found found = {a, out};
    CommonMark tree;
    *out = (Mentions){0};
    if (str_find_char(markdown, '@', 0) == SIZE_MAX) // most texts
        return;
    commonmark_parse(markdown, &tree);
    commonmark_each_text(&tree, take, &found);
    commonmark_done(&tree);
}
