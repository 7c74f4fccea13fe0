/* What the hub client's commands print: one call a kind of answer, in the form that --format asks
 * for, as the `hf` command has them.
 *
 * human: tables with headings and sentences (the default). agent: tab-separated lines and
 * `key=value`, nothing shortened. json: one JSON value. quiet: names alone, one a line. Hints go to
 * standard error, so that what is piped on stays clean. */
#pragma once

#include "base/json.h"

typedef enum OutputFormat { OUTPUT_HUMAN, OUTPUT_AGENT, OUTPUT_JSON, OUTPUT_QUIET } OutputFormat;

typedef struct Output {
    OutputFormat format;
    bool whole; // shorten nothing in tables
} Output;

/* ERR_USAGE if format is none; NULL is human. */
bool output_init(Output *out, const char *format, Error *err);
/* An array of objects as a table. columns: keys separated by spaces, NULL: those of the first
 * object. id: the key that quiet prints, NULL: the first column. */
void output_table(const Output *out, const json_t *rows, const char *columns, const char *id);
/* One object: JSON in all formats, but quiet prints its member `id` if that is not NULL. */
void output_object(const Output *out, const json_t *object, const char *id);
/* What has been done. human prints the member `main` alone where a script wants just that (a path,
 * an address), else the message; consumes data. */
void output_result(const Output *out, const char *message, const char *main, json_t *data);
/* For people: nothing in json and quiet. */
void output_text(const Output *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* To standard error: what to do next; and what is odd. */
void output_hint(const Output *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void output_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Asks a person; yes: it is agreed already. ERR_USAGE where nobody can be asked, ERR_CANCELLED when
 * they decline. */
bool output_confirm(const Output *out, bool yes, Error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

enum { OUTPUT_SIZE = 16, OUTPUT_AGO = 40 };
/* "42.2K", as `hf` writes sizes in caches. */
void output_size(int64_t bytes, char text[OUTPUT_SIZE]);
/* "4 days ago" */
void output_ago(int64_t then_ns, char text[OUTPUT_AGO]);
