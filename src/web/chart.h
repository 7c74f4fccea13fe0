/* Charts as JSON for the macro `chart` of ui.html: {"width", "height", "line", "area": paths, "label":
 * a sentence that says the same}. */
#pragma once

#include "web/web_internal.h"

typedef struct ChartSize {
    int width, height; // of the drawing's own coordinates; the style sheet scales it
} ChartSize;

/* Of n numbers from left to right; takes the label. */
json_t *chart_line(const int64_t *values, size_t n, const ChartSize *size, json_t *label);
/* Of n numbers of downloads, one a day, today's last; with "total", "most" and "rows": [{"day", "n"}],
 * today first. */
json_t *chart_json(const int64_t *days, size_t n, const ChartSize *size);
