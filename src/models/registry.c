/* registry.c: which architectures there are; see models.h. */
#include "models/models.h"

extern const Architecture arch_gpt2, arch_llama;

const Architecture *const architectures[] = {
    &arch_gpt2,
    &arch_llama,
    NULL,
};

static const Architecture *claimed_by(Str name)
{
    for (const Architecture *const *a = architectures; *a; a++)
        for (const char *const *claim = (*a)->claims; *claim; claim++)
            if (str_eq(name, str_of(*claim)))
                return *a;
    return NULL;
}

static const Architecture *named(Str name)
{
    for (const Architecture *const *a = architectures; *a; a++)
        if (str_eq(name, str_of((*a)->name)))
            return *a;
    return NULL;
}

const Architecture *architecture_find(const json_t *config, Error *err)
{
    const json_t *claims = json_object_get(config, "architectures");
    Str type = json_str(config, "model_type"), asked = type;
    for (size_t i = 0; i < json_array_size(claims); i++) {
        const json_t *claim = json_array_get(claims, i);
        asked = (Str){json_string_value(claim), json_string_length(claim)};
        const Architecture *a = claimed_by(asked);
        if (a)
            return a;
    }
    // A GGUF file has no claims, and old configurations may lack them.
    if (json_array_size(claims) == 0 && named(type))
        return named(type);
    AUTO_BUF names;
    buf_init(&names, 0);
    for (const Architecture *const *a = architectures; *a; a++)
        buf_printf(&names, "%s%s", a == architectures ? "" : ", ", (*a)->claims[0]);
    return fail(err, ERR_UNSUPPORTED, "architecture '%.*s' is not supported; supported are %s",
                STR(str_slice(asked, 0, 100)), names.ptr);
}
