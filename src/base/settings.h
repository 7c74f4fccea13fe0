/* Settings: one row a setting drives the file, the environment, the command line and --help.
 *
 *     static const Setting rows[] = {
 *         SETTING(Options, listen, TEXT, "listen", "127.0.0.1:7860", "ADDRESS:PORT", "where"),
 *         SETTING(Options, memory, BYTES, "model-memory", "0", "SIZE", "for loaded models"),
 *     };
 *     Options o;
 *     if (!settings_read(&o, rows, COUNT(rows), &(SettingSources){.args = args + 1}, arena, err))
 *
 * "model-memory" is `model-memory = 8G` in the file, HUG_MODEL_MEMORY in the environment and
 * --model-memory 8G (or =8G) on the command line; each wins over the ones before.
 * Threads: free of state. */
#pragma once

#include "base/str.h"

typedef enum SettingKind {
    SETTING_TEXT,  // const char *, in the arena; NULL without a default
    SETTING_FLAG,  // bool: true, yes, on, 1; on the command line the name alone
    SETTING_INT,   // int64_t
    SETTING_BYTES, // int64_t: 1024, 512K, 8M, 4G, 1T
} SettingKind;

typedef struct Setting {
    const char *name;
    SettingKind kind;
    size_t offset;
    const char *otherwise; // the default, as it would be typed; NULL: none
    const char *value;     // how the help calls the value
    const char *help;
    int64_t min, max; // of numbers, inclusive; both 0: from 0
} Setting;

#define SETTING(type, member, setting_kind, title, value_otherwise, placeholder, text)             \
    {                                                                                              \
        .name = (title), .kind = SETTING_##setting_kind, .offset = offsetof(type, member),         \
        .otherwise = (value_otherwise), .value = (placeholder), .help = (text)                     \
    }

typedef struct SettingSources {
    const char *file;  // NULL: none; absent is fine
    char *const *args; // ending with NULL; NULL: none. Nothing but settings may be in it
} SettingSources;

/* Sets every row's member. ERR_USAGE names the setting and where it stands:
 * "hug.conf: line 3: listen: ...", "HUG_LISTEN: ...", "--listen: ...". */
bool settings_read(void *out, const Setting *rows, size_t n, const SettingSources *from, Arena *a,
                   Error *err);
/* A line a setting: "  --listen ADDRESS:PORT   where (127.0.0.1:7860)". */
void settings_help(const Setting *rows, size_t n, Buf *out);
