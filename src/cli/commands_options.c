/* commands_options.c: every option of the hub client's commands; see commands.h. */
#include "cli/commands.h"

/* `key` is what a command's `takes` calls it: the option's name, or another where two commands mean
 * different things by one name. */
static const struct {
    const char *key;
    Option option;
} vocabulary[] = {
    {"type",
     VALUE(Ask, type, TEXT, "--type|--repo-type", "T", "model (default), dataset or space")},
    {"revision", VALUE(Ask, revision, TEXT, "--revision", "R", "a branch, tag or commit")},
    {"private", SWITCH(Ask, private_, "--private", "only its owner may see it")},
    {"public", FLAG(Ask, public_, "--public", "everybody may see it")},
    {"exist-ok", FLAG(Ask, exist_ok, "--exist-ok|--exists-ok", "one that is there is fine")},
    {"missing-ok", FLAG(Ask, missing_ok, "--missing-ok", "one that is not there is fine")},
    {"sdk",
     VALUE(Ask, sdk, TEXT, "--sdk|--space-sdk", "SDK", "of a Space: gradio, docker, static")},
    {"namespace", VALUE(Ask, namespace, TEXT, "--namespace", "NAME", "a user or an organisation")},
    {"search", VALUE(Ask, search, TEXT, "--search", "TEXT", "with this in the name")},
    {"gated", VALUE(Ask, gated, TEXT, "--gated", "HOW", "auto, manual or false")},
    {"message", VALUE(Ask, message, TEXT, "-m|--message", "TEXT", "what the tag stands for")},
    {"commit-message", VALUE(Ask, message, TEXT, "--commit-message", "TEXT", "the commit's title")},
    {"commit-description",
     VALUE(Ask, description, TEXT, "--commit-description", "TEXT", "the commit's body")},
    {"create-pr", SWITCH(Ask, create_pr, "--create-pr", "as a new pull request")},
    {"title", VALUE(Ask, title, TEXT, "--title", "TEXT", "the title")},
    {"description", VALUE(Ask, description, TEXT, "--description", "TEXT", "what it is about")},
    {"limit", VALUE(Ask, limit, INT, "--limit", "N", "at most so many")},
    {"author", VALUE(Ask, author, TEXT, "--author", "NAME", "of this user or organisation")},
    {"filter", VALUE(Ask, filters, LIST, "--filter", "TAG", "with this tag")},
    {"cache-filter", VALUE(Ask, filters, LIST, "-f|--filter", "EXPR",
                           "such as 'size>1GB', 'type=model', 'accessed>7d', 'refs=main'")},
    {"pipeline-tag", VALUE(Ask, pipeline_tag, TEXT, "--pipeline-tag", "TASK", "for this task")},
    {"gated-only", SWITCH(Ask, gated_only, "--gated", "only gated ones, or only others")},
    {"apps", VALUE(Ask, apps, LIST, "--apps", "APP", "that this app can run")},
    {"num-parameters",
     VALUE(Ask, parameters, TEXT, "--num-parameters", "RANGE", "such as min:6B,max:128B")},
    {"sort", VALUE(Ask, sort, TEXT, "--sort", "KEY",
                   "downloads, likes, last_modified, created_at or trending_score")},
    {"cache-sort", VALUE(Ask, sort, TEXT, "--sort", "KEY",
                         "accessed, modified, name or size, with :asc or :desc behind it")},
    {"collection-sort",
     VALUE(Ask, sort, TEXT, "--sort", "KEY", "lastModified, trending or upvotes")},
    {"expand", VALUE(Ask, expand, TEXT, "--expand", "A,B", "these properties and no others")},
    {"human-readable", FLAG(Ask, human_readable, "-h|--human-readable", "files: sizes in words")},
    {"tree", FLAG(Ask, tree, "--tree", "files: as a tree")},
    {"recursive", FLAG(Ask, recursive, "-R|--recursive", "files: in folders too")},
    {"metadata", FLAG(Ask, metadata, "--metadata", "only what stands in its head")},
    {"text", FLAG(Ask, text, "--text", "only what stands below its head")},
    {"token-name",
     VALUE(Ask, token_name, TEXT, "--token-name", "NAME", "which of the kept tokens")},
    {"add-to-git-credential",
     FLAG(Ask, git_credential, "--add-to-git-credential", "tell git's helper too")},
    {"force", FLAG(Ask, force, "--force", "even if logged in")},
    {"cache-dir",
     VALUE(Ask, cache, TEXT, "--cache-dir", "DIR", "instead of HF_HUB_CACHE or HF_HOME/hub")},
    {"local-dir", VALUE(Ask, folder, TEXT, "--local-dir", "DIR", "files by their names, no cache")},
    {"revisions", FLAG(Ask, revisions, "--revisions", "each revision on its own")},
    {"show-warnings", FLAG(Ask, show_warnings, "--show-warnings", "what is wrong in the cache")},
    {"fail-on-missing-files", FLAG(Ask, fail_missing, "--fail-on-missing-files",
                                   "files that only the hub has are an error")},
    {"fail-on-extra-files",
     FLAG(Ask, fail_extra, "--fail-on-extra-files", "files that the hub lacks are an error")},
    {"status",
     VALUE(Ask, status, TEXT, "-s|--status", "S", "open (default), closed, merged, draft or all")},
    {"kind",
     VALUE(Ask, author_kind, TEXT, "-k|--kind", "K", "discussion, pull_request or all (default)")},
    {"body", VALUE(Ask, body, TEXT, "--body", "TEXT", "what it says, in Markdown")},
    {"body-file", VALUE(Ask, body_file, TEXT, "--body-file", "FILE", "the same from a file, or -")},
    {"comment", VALUE(Ask, comment, TEXT, "--comment", "TEXT", "said along with it")},
    {"pull-request", FLAG(Ask, pull_request, "--pull-request|--pr", "not a discussion")},
    {"owner", VALUE(Ask, owner, TEXT, "--owner", "NAME", "of this user or organisation")},
    {"item", VALUE(Ask, item, TEXT, "--item", "ITEM", "with this in it: models/gpt2")},
    {"theme", VALUE(Ask, theme, TEXT, "--theme", "COLOUR", "green, blue, ...")},
    {"note", VALUE(Ask, note, TEXT, "--note", "TEXT", "said beside the item")},
    {"position", VALUE(Ask, position, INT, "--position", "N", "its place, from 0")},
    {"url", VALUE(Ask, url, TEXT, "--url", "URL", "whom to tell")},
    {"secret", VALUE(Ask, secret, TEXT, "--secret", "S", "that signs what is told")},
    {"watch", VALUE(Ask, watch, LIST, "--watch", "TYPE:NAME",
                    "what to watch: user:NAME, org:NAME, model:ID, dataset:ID, space:ID")},
    {"domain",
     VALUE(Ask, domains, LIST, "--domain", "D", "what about: repo, discussion; without: both")},
    {"include", VALUE(Ask, include, LIST, "--include", "GLOB", "only such files")},
    {"exclude", VALUE(Ask, exclude, LIST, "--exclude", "GLOB", "none of these")},
    {"delete",
     VALUE(Ask, remove, LIST, "--delete", "GLOB", "delete such files in the same commit")},
    {"every", VALUE(Ask, every, NUM, "--every", "MINUTES", "again and again, until stopped")},
    {"max-workers", VALUE(Ask, workers, INT, "--max-workers", "N", "files at a time (8)")},
    {"force-download", FLAG(Ask, force, "--force-download", "fetch again what is there")},
    {"dry-run", FLAG(Ask, dry_run, "--dry-run", "say what would be done")},
    {"yes", FLAG(Ask, yes, "-y|--yes", "do not ask")},
    {"token", VALUE(Ask, token, TEXT, "--token", "T", "instead of HF_TOKEN or the kept one")},
    // Every command takes these.
    {"", VALUE(Ask, format, TEXT, "--format", "F", "human, agent, json or quiet")},
    {"", FLAG(Ask, json, "--json", "as --format json")},
    {"", FLAG(Ask, quiet, "-q|--quiet", "names alone, one a line; no progress")},
    {"", FLAG(Ask, whole, "--no-truncate", "shorten nothing in tables")},
};

static bool names(const char *takes, const char *key)
{
    Str rest = str_of(takes), word;
    while (str_split(&rest, ' ', &word))
        if (str_eq(word, str_of(key)))
            return true;
    return false;
}

const Option *command_options(Arena *a, const Command *command, size_t *n)
{
    Option *found = NEW_ARRAY(a, Option, COUNT(vocabulary));
    *n = 0;
    for (size_t i = 0; i < COUNT(vocabulary); i++)
        if (!vocabulary[i].key[0] || names(command->takes, vocabulary[i].key))
            found[(*n)++] = vocabulary[i].option;
    return found;
}
