/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files.h - files one after another (bh_series.h), as settings of a module: FILES_SETTINGS goes into its table
 * beside its own "path".
 */
#ifndef FILES_H
#define FILES_H

#include "bh_output.h"
#include "bh_series.h"

#define FILES_SETTINGS(max_size, rotate, keep_size)                                                \
    { .name = "max-size",                                                                          \
      .type = BH_SETTING_SIZE,                                                                     \
      .unit = "octets",                                                                            \
      .default_text = (max_size),                                                                  \
      .text = { "begin another file at so many octets; 0: never",                                  \
                "ファイルを替える大きさ。0: 替えない" } },                                         \
        { .name = "rotate",                                                                        \
          .type = BH_SETTING_DURATION,                                                             \
          .unit = "",                                                                              \
          .default_text = (rotate),                                                                \
          .text = { "begin another file after so long; 0s: never",                                 \
                    "ファイルを替える時間。0s: 替えない" } },                                      \
        { .name = "keep",                                                                          \
          .type = BH_SETTING_UINT,                                                                 \
          .unit = "files",                                                                         \
          .default_text = "0",                                                                     \
          .text = { "remove the oldest files beyond so many; 0: keep all",                         \
                    "これを超えた古いファイルを消す。0: すべて残す" } },                           \
    {                                                                                              \
        .name = "keep-size", .type = BH_SETTING_SIZE, .unit = "octets",                            \
        .default_text = (keep_size), .text = {                                                     \
            "remove the oldest files beyond so many octets together; 0: keep all",                 \
            "合計がこれを超えたら古いファイルを消す。0: すべて残す"       \
        }                                                                                          \
    }

/* Of "path" and the settings above; mode and mending are the module's to add. */
static inline struct bh_series_config
files_config(const struct bh_output *o)
{
    return (struct bh_series_config){
        .path = bh_output_text(o, "path"),
        .max_bytes = bh_output_uint(o, "max-size"),
        .max_ns = (int64_t)bh_output_uint(o, "rotate"),
        .keep_files = bh_output_uint(o, "keep"),
        .keep_bytes = bh_output_uint(o, "keep-size"),
    };
}

#endif
