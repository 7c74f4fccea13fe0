/* highlight.c: one scanner, driven by a row a language; see highlight.h. */
#include "web/highlight.h"

#include "base/encode.h"

typedef enum Style { C_LIKE, SCRIPT_LIKE, DATA, MARKUP, DIFF } Style;

typedef struct Language {
    const char *names;      // what fences call it, with spaces around each
    const char *suffixes;   // of files, likewise; whole names too
    Style style;            //
    const char *line;       // line comments start so, separated by spaces
    const char *open, *end; // block comments
    const char *quotes;     // characters that open strings; '3': tripled ones as well
    const char *keywords;   // with spaces around each
    bool nocase;            // keywords in any case
} Language;

#define C_WORDS                                                                                    \
    " auto break case char const continue default do double else enum extern float for goto if "   \
    "inline int long register restrict return short signed sizeof static struct switch typedef "   \
    "union unsigned void volatile while bool true false NULL "

static const Language languages[] = {
    {" python py python3 py3 pycon ", " .py .pyi .pyw ", SCRIPT_LIKE, "#", NULL, NULL, "\"'3",
     " and as assert async await break class continue def del elif else except False finally for "
     "from global if import in is lambda None nonlocal not or pass raise return True try while "
     "with "
     "yield match case self "},
    {" javascript js jsx mjs typescript ts tsx node ", " .js .mjs .cjs .jsx .ts .tsx ", C_LIKE,
     "//", "/*", "*/", "\"'`",
     " async await break case catch class const continue debugger default delete do else export "
     "extends false finally for from function if import in instanceof interface let new null of "
     "return static super switch this throw true try type typeof undefined var void while yield "},
    {" json jsonc json5 jsonl ", " .json .jsonl .ipynb .webmanifest ", DATA, "//", NULL, NULL, "\"",
     " true false null "},
    {" yaml yml ", " .yaml .yml .cff ", DATA, "#", NULL, NULL, "\"'",
     " true false null yes no on off "},
    {" toml ini conf cfg properties ",
     " .toml .ini .cfg .conf .properties .env .gitattributes "
     ".gitignore .editorconfig ",
     DATA, "# ;", NULL, NULL, "\"'", " true false "},
    {" bash sh shell zsh console shell-session ", " .sh .bash .zsh ", SCRIPT_LIKE, "#", NULL, NULL,
     "\"'",
     " if then else elif fi for while until do done case esac in function return export local set "
     "echo cd source exit sudo pip python git curl hf hug npm apt docker "},
    {" c h cpp c++ cxx hpp cc cuda cu ", " .c .h .cc .cpp .cxx .hpp .hh .cu .cuh ", C_LIKE, "//",
     "/*", "*/", "\"'",
     C_WORDS "class namespace template typename public private protected virtual override using "
             "new delete this nullptr constexpr noexcept operator friend try catch throw "},
    {" java kotlin kt scala groovy ", " .java .kt .kts .scala ", C_LIKE, "//", "/*", "*/", "\"'",
     C_WORDS "abstract boolean byte class extends final finally fun implements import instanceof "
             "interface native new null object override package private protected public super "
             "synchronized this throw throws try catch val var when def "},
    {" csharp cs c# ", " .cs ", C_LIKE, "//", "/*", "*/", "\"'",
     C_WORDS "abstract async await base byte class decimal delegate foreach get in interface "
             "internal is namespace new null object out override params private protected public "
             "readonly ref sealed set string this throw try catch using var virtual yield "},
    {" go golang ", " .go ", C_LIKE, "//", "/*", "*/", "\"'`",
     " break case chan const continue default defer else fallthrough for func go goto if import "
     "interface map nil package range return select struct switch true false type var string int "
     "int64 float64 bool byte error "},
    {" rust rs ", " .rs ", C_LIKE, "//", "/*", "*/", "\"",
     " as async await break const continue crate dyn else enum extern false fn for if impl in let "
     "loop match mod move mut pub ref return self Self static struct super trait true type unsafe "
     "use where while i32 i64 u8 u32 u64 f32 f64 usize bool str String Vec Option Result "},
    {" swift ", " .swift ", C_LIKE, "//", "/*", "*/", "\"",
     " as break case class continue default defer do else enum extension false for func guard if "
     "import in init inout is let nil private protocol public return self static struct super "
     "switch throw throws true try var where while "},
    {" php ", " .php ", C_LIKE, "// #", "/*", "*/", "\"'",
     " abstract and array as break case catch class const continue default do echo else elseif "
     "extends false final for foreach function global if implements include interface namespace "
     "new null or private protected public require return static switch this throw true try use "
     "var while "},
    {" ruby rb ", " .rb .gemspec Rakefile Gemfile ", SCRIPT_LIKE, "#", NULL, NULL, "\"'",
     " alias and begin break case class def do else elsif end ensure false for if in module next "
     "nil not or redo rescue retry return self super then true unless until when while yield "
     "require puts "},
    {" lua ", " .lua ", SCRIPT_LIKE, "--", "--[[", "]]", "\"'",
     " and break do else elseif end false for function goto if in local nil not or repeat return "
     "then true until while "},
    {" r ", " .r .R ", SCRIPT_LIKE, "#", NULL, NULL, "\"'",
     " if else repeat while function for in next break TRUE FALSE NULL Inf NaN NA library "},
    {" julia jl ", " .jl ", SCRIPT_LIKE, "#", "#=", "=#", "\"3",
     " abstract begin break catch const continue do else elseif end export false finally for "
     "function global if import in let local macro module mutable quote return struct true try "
     "using while "},
    {" sql sqlite postgresql mysql duckdb ", " .sql ", SCRIPT_LIKE, "--", "/*", "*/", "'\"",
     " select from where and or not null insert into values update set delete create table index "
     "view drop alter add primary key references join left right inner outer on as group by order "
     "having limit offset union all distinct case when then else end exists in is like between "
     "desc asc with ",
     true},
    {" css scss less ", " .css .scss .less ", C_LIKE, "", "/*", "*/", "\"'",
     " important media supports import keyframes root var calc none auto inherit "},
    {" dockerfile docker ", " Dockerfile .dockerfile ", SCRIPT_LIKE, "#", NULL, NULL, "\"'",
     " from as run cmd label expose env add copy entrypoint volume user workdir arg onbuild "
     "healthcheck shell ",
     true},
    {" makefile make cmake meson ", " Makefile .mk .cmake CMakeLists.txt meson.build ", SCRIPT_LIKE,
     "#", NULL, NULL, "\"'",
     " if else endif ifeq ifdef include define endef foreach endforeach set project option "},
    {" html xml svg vue xhtml ", " .html .htm .xml .svg .vue .xhtml ", MARKUP, "", "<!--", "-->",
     "\"'", " "},
    {" diff patch ", " .diff .patch ", DIFF, "", NULL, NULL, "", " "},
};

typedef struct Scanner {
    Buf *out;
    Str code;
    size_t pos;
    const Language *language;
} Scanner;

static bool has_word(const char *words, Str word, bool nocase)
{
    size_t n = strlen(words);
    for (const char *p = words; word.len && (size_t)(p - words) + word.len + 2 <= n;) {
        const char *end = strchr(p + 1, ' ');
        if (!end)
            break;
        Str w = {p + 1, (size_t)(end - p) - 1};
        if (nocase ? str_eq_nocase(w, word) : str_eq(w, word))
            return true;
        p = end;
    }
    return false;
}

/* Text in spans of a class, one for each line. */
static void add_span(Buf *out, char class, Str text)
{
    Str line;
    for (bool first = true; str_split(&text, '\n', &line); first = false) {
        buf_add(out, first ? S("") : S("\n"));
        if (!line.len)
            continue;
        if (class)
            buf_printf(out, "<span class=\"%c\">", class);
        html_escape(out, line);
        buf_add(out, class ? S("</span>") : S(""));
    }
}

static bool at(const Scanner *s, const char *text)
{
    return text && *text && str_starts(str_slice(s->code, s->pos, s->code.len), str_of(text));
}

static void take(Scanner *s, char class, size_t n)
{
    n = MIN(n, s->code.len - s->pos);
    add_span(s->out, class, str_slice(s->code, s->pos, s->pos + n));
    s->pos += n;
}

static size_t line_end(const Scanner *s)
{
    return MIN(str_find_char(s->code, '\n', s->pos), s->code.len);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take_comment(Scanner *s)
{
    const Language *l = s->language;
    if (at(s, l->open)) {
        size_t end = str_find(s->code, str_of(l->end), s->pos + strlen(l->open));
        take(s, 'c', end == SIZE_MAX ? SIZE_MAX / 2 : end + strlen(l->end) - s->pos);
        return true;
    }
    Str starts = str_of(l->line), start;
    char before = s->pos ? s->code.ptr[s->pos - 1] : '\n';
    while (starts.len && str_split(&starts, ' ', &start)) {
        bool here = str_starts(str_slice(s->code, s->pos, s->code.len), start);
        // "#" inside a word is no comment ($#, a#b), nor "//" behind a colon (https://).
        if (!here || (start.len == 1 && !strchr(" \t\n(", before)) || before == ':')
            continue;
        take(s, 'c', line_end(s) - s->pos);
        return true;
    }
    return false;
}

static size_t string_end(const Scanner *s, size_t from, Str quote)
{
    for (size_t i = from; i < s->code.len; i++) {
        if (s->code.ptr[i] == '\\')
            i++;
        else if (quote.len == 1 && s->code.ptr[i] == '\n' && quote.ptr[0] != '`')
            return i;
        else if (str_starts(str_slice(s->code, i, s->code.len), quote))
            return i + quote.len;
    }
    return s->code.len;
}

/* In data a string before a colon is a key. */
static bool is_key(const Scanner *s, size_t end)
{
    while (end < s->code.len && s->code.ptr[end] == ' ')
        end++;
    return s->language->style == DATA && end < s->code.len && s->code.ptr[end] == ':';
}

static bool take_string(Scanner *s)
{
    char c = s->code.ptr[s->pos];
    if (!c || !strchr(s->language->quotes, c) || c == '3')
        return false;
    char triple[] = {c, c, c, 0};
    bool tripled = strchr(s->language->quotes, '3') && at(s, triple);
    Str quote = {triple, tripled ? 3 : 1};
    size_t end = string_end(s, s->pos + quote.len, quote);
    take(s, is_key(s, end) ? 'm' : 's', end - s->pos);
    return true;
}

static bool take_number(Scanner *s)
{
    if (!is_digit(s->code.ptr[s->pos]))
        return false;
    size_t end = s->pos + 1;
    while (end < s->code.len &&
           (is_letter(s->code.ptr[end]) || is_digit(s->code.ptr[end]) || s->code.ptr[end] == '.' ||
            (strchr("+-", s->code.ptr[end]) && s->code.ptr[end] &&
             (s->code.ptr[end - 1] | 0x20) == 'e')))
        end++;
    take(s, 'n', end - s->pos);
    return true;
}

static bool take_word(Scanner *s)
{
    if (!is_letter(s->code.ptr[s->pos]))
        return false;
    size_t end = s->pos;
    bool dashes = s->language->style == DATA;
    while (end < s->code.len && (is_letter(s->code.ptr[end]) || is_digit(s->code.ptr[end]) ||
                                 (dashes && (s->code.ptr[end] == '-' || s->code.ptr[end] == '.'))))
        end++;
    Str word = str_slice(s->code, s->pos, end);
    char next = end < s->code.len ? s->code.ptr[end] : 0;
    bool equals = dashes && end + 1 < s->code.len &&
                  (next == '=' || (next == ' ' && s->code.ptr[end + 1] == '='));
    char class = has_word(s->language->keywords, word, s->language->nocase) ? 'k'
                 : is_key(s, end) || equals                                 ? 'm'
                 : next == '(' && !dashes                                   ? 'f'
                 : word.ptr[0] >= 'A' && word.ptr[0] <= 'Z' && !dashes      ? 't'
                                                                            : 0;
    take(s, class, word.len);
    return true;
}

/* "#include", "@decorator", "$variable" */
static bool take_meta(Scanner *s)
{
    char c = s->code.ptr[s->pos], before = s->pos ? s->code.ptr[s->pos - 1] : '\n';
    bool line_start = before == '\n';
    Style style = s->language->style;
    if (!(c == '@' && style != DATA) && !(c == '#' && line_start && style == C_LIKE) &&
        !(c == '$' && style == SCRIPT_LIKE))
        return false;
    size_t end = s->pos + 1;
    while (end < s->code.len &&
           (is_letter(s->code.ptr[end]) || is_digit(s->code.ptr[end]) || s->code.ptr[end] == '.'))
        end++;
    take(s, 'm', end - s->pos);
    return true;
}

static void scan_code(Scanner *s)
{
    while (s->pos < s->code.len)
        if (!take_comment(s) && !take_string(s) && !take_number(s) && !take_meta(s) &&
            !take_word(s))
            take(s, 0, 1);
}

/* Tags with their names, attributes and values; the text between is plain. */
static void scan_markup(Scanner *s)
{
    while (s->pos < s->code.len) {
        if (take_comment(s))
            continue;
        size_t next = MIN(str_find_char(s->code, '<', s->pos), s->code.len);
        if (next > s->pos) {
            take(s, 0, next - s->pos);
            continue;
        }
        size_t end = s->pos + 1;
        while (end < s->code.len && !strchr(" \t\n>", s->code.ptr[end]))
            end++;
        take(s, 't', end - s->pos);
        while (s->pos < s->code.len && s->code.ptr[s->pos] != '>') {
            if (take_string(s))
                continue;
            size_t word = s->pos;
            while (word < s->code.len && (is_letter(s->code.ptr[word]) || s->code.ptr[word] == '-'))
                word++;
            take(s, word > s->pos ? 'm' : 0, word > s->pos ? word - s->pos : 1);
        }
        take(s, 't', 1);
    }
}

static void scan_diff(Scanner *s)
{
    while (s->pos < s->code.len) {
        char c = s->code.ptr[s->pos];
        take(s, c == '+' ? 'i' : c == '-' ? 'd' : c == '@' ? 'm' : 0, line_end(s) - s->pos);
        take(s, 0, 1);
    }
}

static const Language *language_find(Str name)
{
    for (size_t i = 0; i < COUNT(languages); i++)
        if (has_word(languages[i].names, name, true))
            return &languages[i];
    return NULL;
}

void highlight(Buf *out, Str code, Str language)
{
    size_t space = MIN(str_find_char(language, ' ', 0), language.len);
    Scanner s = {
        .out = out, .code = code, .language = language_find(str_slice(language, 0, space))};
    if (!s.language)
        html_escape(out, code);
    else if (s.language->style == MARKUP)
        scan_markup(&s);
    else if (s.language->style == DIFF)
        scan_diff(&s);
    else
        scan_code(&s);
}

Str highlight_language(Str path)
{
    size_t slash = str_rfind_char(path, '/');
    Str name = slash == SIZE_MAX ? path : str_slice(path, slash + 1, path.len);
    size_t dot = str_rfind_char(name, '.');
    Str suffix = dot == SIZE_MAX ? (Str){0} : str_slice(name, dot, name.len);
    for (size_t i = 0; i < COUNT(languages); i++)
        if (has_word(languages[i].suffixes, suffix, true) ||
            has_word(languages[i].suffixes, name, false)) {
            Str names = str_of(languages[i].names + 1), first = {0};
            str_split(&names, ' ', &first);
            return first;
        }
    return (Str){0};
}
