/* search.c: the words of repositories, excerpts, and accounts by name; see search.h. */
#include "hub/search.h"

#include "hub/hub_internal.h"

enum { MAX_README = 1 << 20, EXCERPT = 240, SUMMARY = 300, MAX_CITATION = 4000 };

/* ---- Words ---- */

/* Scripts that do not put spaces between words. */
static bool is_alone(int32_t c)
{
    return (c >= 0x3041 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF);
}

static bool is_between(int32_t c)
{
    return c < 0 || (c >= 0x80 && c <= 0xBF && c != 0xAA && c != 0xB5 && c != 0xBA) ||
           (c >= 0x2000 && c <= 0x206F) || (c >= 0x3000 && c <= 0x303F) ||
           (c >= 0xFF00 && c <= 0xFF0F) || c == 0xFEFF;
}

/* Where an HTML tag or an address that begins at pos ends; pos if there is none. */
static size_t skip_markup(Str text, size_t pos)
{
    Str rest = str_slice(text, pos, text.len);
    if (rest.len > 1 && rest.ptr[0] == '<' &&
        (isalpha((unsigned char)rest.ptr[1]) || rest.ptr[1] == '/' || rest.ptr[1] == '!')) {
        size_t end = str_find_char(str_slice(rest, 0, 2000), '>', 0);
        return end == SIZE_MAX ? pos : pos + end + 1;
    }
    if (!str_starts(rest, S("http://")) && !str_starts(rest, S("https://")))
        return pos;
    size_t n = 0;
    while (n < rest.len && !strchr(" \t\r\n()<>\"'", rest.ptr[n]))
        n++;
    return pos + n;
}

static void end_word(Buf *out)
{
    if (out->len && out->ptr[out->len - 1] != ' ')
        buf_add_char(out, ' ');
}

void search_words_add(Buf *out, Str text, bool is_markdown)
{
    end_word(out);
    for (size_t pos = 0; pos < text.len;) {
        size_t past = is_markdown ? skip_markup(text, pos) : pos;
        if (past > pos) {
            end_word(out);
            pos = past;
            continue;
        }
        int32_t c = utf8_next(text, &pos);
        if (c >= 0 && c < 0x80) {
            if (isalnum(c))
                buf_add_char(out, (char)tolower(c));
            else
                end_word(out);
        } else if (is_between(c)) {
            end_word(out);
        } else if (is_alone(c)) {
            end_word(out);
            buf_add_utf8(out, c);
            end_word(out);
        } else {
            buf_add_utf8(out, c);
        }
    }
    end_word(out);
}

static Str words_of(Arena *a, Buf *words)
{
    // Cut behind a whole word.
    Str s = str_slice(buf_str(words), 0, MAX_SEARCH_BODY);
    while (s.len && s.ptr[s.len - 1] != ' ')
        s.len--;
    return arena_str(a, s);
}

static Str card_text(Hub *hub, Arena *a, const Repo *repo, Str sha)
{
    RepoFile file;
    Str readme, yaml, text;
    if (!repo_file(hub, a, repo, sha, S("README.md"), &file, NULL) || file.entry.is_lfs ||
        file.entry.size > MAX_README ||
        !repo_file_bytes(hub, a, repo, &file, MAX_README, &readme, NULL))
        return (Str){0};
    card_split(readme, &yaml, &text);
    return text;
}

void search_doc(Hub *hub, Arena *a, const Repo *repo, const RepoInfo *info, SearchDoc *out)
{
    static const char *const keys[] = {"pretty_name", "title", "short_description", "license_name"};
    AUTO_BUF meta, body;
    buf_init(&meta, 0);
    buf_init(&body, 0);
    search_words_add(&meta, repo->full, false);
    for (size_t i = 0; i < info->n_tags; i++)
        search_words_add(&meta, info->tags[i], false);
    for (size_t i = 0; i < COUNT(keys); i++)
        search_words_add(&meta, json_str(info->card, keys[i]), false);
    search_words_add(&meta, info->sdk, false);
    search_words_add(&body, card_text(hub, a, repo, info->sha), true);
    *out = (SearchDoc){words_of(a, &meta), words_of(a, &body)};
}

bool search_rebuild(Hub *hub, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_repo_unindex(c, S(""), 0, err) && conn_commit(c, err);
}

/* ---- Excerpts ---- */

typedef struct Words {
    Str items[MAX_SEARCH_WORDS];
    size_t n;
} Words;

static bool is_inside(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The word that begins at pos, its length; 0 if none does. */
static size_t match_at(const Words *words, Str text, size_t pos)
{
    if (pos && isalnum((unsigned char)text.ptr[pos]) && isalnum((unsigned char)text.ptr[pos - 1]))
        return 0;
    for (size_t i = 0; i < words->n; i++)
        if (str_eq_nocase(str_slice(text, pos, pos + words->items[i].len), words->items[i]))
            return words->items[i].len;
    return 0;
}

static void parts_add(SearchPart *parts, size_t *n, Str text, bool is_match)
{
    if (text.len)
        parts[(*n)++] = (SearchPart){text, is_match};
}

static void cut_into_parts(Arena *a, const Words *words, Str text, size_t first, SearchPart **out,
                           size_t *n)
{
    size_t from = first > EXCERPT / 3 ? first - EXCERPT / 3 : 0;
    while (from > 0 && is_inside(text.ptr[from - 1]) && first - from < EXCERPT)
        from--;
    size_t to = MIN(from + EXCERPT, text.len);
    while (to < text.len && is_inside(text.ptr[to]) && to - from < 2 * EXCERPT)
        to++;
    while (to < text.len && ((unsigned char)text.ptr[to] & 0xC0) == 0x80)
        to++;
    while (from < first && ((unsigned char)text.ptr[from] & 0xC0) == 0x80)
        from++;
    SearchPart *parts = NEW_ARRAY(a, SearchPart, to - from + 1);
    size_t plain = from, found = 0;
    for (size_t pos = from; pos < to;) {
        size_t len = match_at(words, str_slice(text, 0, to), pos);
        if (!len) {
            pos++;
            continue;
        }
        parts_add(parts, &found, str_slice(text, plain, pos), false);
        parts_add(parts, &found, str_slice(text, pos, pos + len), true);
        plain = pos += len;
    }
    parts_add(parts, &found, str_slice(text, plain, to), false);
    *out = parts;
    *n = found;
}

/* Markdown as running text: without tags and addresses, white space as single spaces. */
static Str plain_text(Arena *a, Str text)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    for (size_t pos = 0; pos < text.len;) {
        size_t past = skip_markup(text, pos);
        char c = past > pos ? ' ' : text.ptr[pos];
        pos = MAX(past, pos + 1);
        if (strchr("#*`|>_[]()=\n\r\t ", c) || (unsigned char)c < ' ')
            end_word(&out);
        else
            buf_add_char(&out, c);
    }
    return arena_str(a, buf_str(&out));
}

/* The default branch's card. */
static Str card_now(Hub *hub, Arena *a, const Repo *repo, Error *err)
{
    Str sha;
    return repo_revision(hub, a, repo, S(""), &sha, err) ? card_text(hub, a, repo, sha) : (Str){0};
}

Str card_summary(Hub *hub, Arena *a, const Repo *repo)
{
    Str text = plain_text(a, str_slice(card_now(hub, a, repo, NULL), 0, 4 * SUMMARY));
    if (text.len <= SUMMARY)
        return str_trim(text);
    size_t end = SUMMARY;
    while (end > 0 && text.ptr[end] != ' ')
        end--;
    return str_trim(str_slice(text, 0, end));
}

Str card_citation(Hub *hub, Arena *a, const Repo *repo)
{
    static const char *const kinds[] = {"@article", "@inproceedings", "@misc",
                                        "@book",    "@techreport",    "@software"};
    Str text = card_now(hub, a, repo, NULL);
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < COUNT(kinds); i++)
        at = MIN(at, str_find(text, str_of(kinds[i]), 0));
    if (at == SIZE_MAX)
        return (Str){0};
    int depth = 0;
    for (size_t i = at; i < text.len && i - at < MAX_CITATION; i++) {
        depth += text.ptr[i] == '{' ? 1 : text.ptr[i] == '}' ? -1 : 0;
        if (text.ptr[i] == '}' && depth <= 0)
            return str_slice(text, at, i + 1);
    }
    return (Str){0};
}

bool search_excerpt(Hub *hub, Arena *a, const Repo *repo, Str words, SearchPart **out, size_t *n,
                    Error *err)
{
    *out = NULL;
    *n = 0;
    Words wanted = {0};
    Str word;
    words = str_slice(words, 0, MAX_SEARCH_TEXT);
    while (wanted.n < MAX_SEARCH_WORDS && str_split(&words, ' ', &word))
        if (word.len)
            wanted.items[wanted.n++] = word;
    Error seen = {0};
    Str text = plain_text(a, card_now(hub, a, repo, &seen));
    if (seen.code && seen.code != ERR_NO_REVISION) {
        *(err ? err : &seen) = seen;
        return false;
    }
    for (size_t pos = 0; pos < text.len; pos++)
        if (match_at(&wanted, text, pos)) {
            cut_into_parts(a, &wanted, text, pos, out, n);
            break;
        }
    return true;
}

/* ---- Accounts ---- */

bool search_accounts(Hub *hub, Arena *a, Str words, bool orgs, size_t limit, Account **out,
                     size_t *n, int64_t *total, Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_accounts_like(c, a, name_key(a, words), orgs, limit, out, n, total, err);
}
