/* Charts as JSON for the macro `chart` of ui.html. */
#pragma once

#include "web/web_internal.h"

typedef struct ChartSize {
    int width, height; // of the drawing's own coordinates; the style sheet scales it
} ChartSize;

/* Of n numbers, one a day, today's last: {"line", "area": paths, "label": a sentence that says the
 * same, "total", "most", "rows": [{"day", "n"}] with today first}. */
json_t *chart_json(const int64_t *days, size_t n, const ChartSize *size);
