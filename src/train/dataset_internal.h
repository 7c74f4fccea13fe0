/* What reading documents (documents.c) and making examples of them (dataset.c) share. */
#pragma once

#include "base/file.h"
#include "train/dataset.h"

/* A part of a file that is one document, or one object or record that holds one. */
typedef enum SourceKind { SOURCE_TEXT, SOURCE_JSON, SOURCE_RECORD } SourceKind;

typedef struct Source {
    Str raw;
    SourceKind kind;
    uint32_t file;
    int64_t line;      // where it begins, from 1
    bool begins, ends; // of text: the document's beginning and end are in it
} Source;

typedef struct SourceFile {
    const char *path;
    FileMap map;
    char separator;       // of records
    const char **columns; // of records
    size_t n_columns;
} SourceFile;

typedef struct Sources {
    Arena *arena;
    SourceFile *files;
    size_t n_files, files_cap;
    Source *items;
    size_t n, cap;
} Sources;

void sources_done(Sources *s);
/* Finds the files of a data set and where their documents lie; reads nothing twice. */
bool sources_find(Sources *s, const char *path, Split split, Error *err);

/* A document: its text and which bytes of it are learned, in order. */
enum { DOCUMENT_RANGES = 512 };
typedef struct Document {
    Buf text;
    struct {
        size_t from, to;
    } learned[DOCUMENT_RANGES];
    size_t n_learned;
    bool add_special; // the tokens that the model wants around a text
    bool append_eos;
} Document;

/* Turns a source into a document; d is reused. */
bool document_read(Document *d, const Sources *s, const Source *source, const DatasetSpec *spec,
                   Error *err);
/* Whether documents of this kind are packed when nobody says: conversations and pairs are not. */
bool source_is_plain(const Sources *s, const Source *source, const DatasetSpec *spec);
