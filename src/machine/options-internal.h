/* SPDX-License-Identifier: MIT */
/* The table of options, and the handlers that are in files of their own. */
#ifndef TESSERA_MACHINE_OPTIONS_INTERNAL_H
#define TESSERA_MACHINE_OPTIONS_INTERNAL_H

#include <glib.h>
#include "tessera/machine/config.h"
#include "tessera/util/keyval.h"

typedef OptionsResult OptionHandler(MachineConfig *config, const char *text, GError **error);

/**
 * struct Option - one option, or a heading of -help
 * @name: without dashes; NULL: a heading, @help is its text
 * @alias: another name, or NULL
 * @argument: what follows, for people; NULL: nothing does
 * @help: for -help, which breaks it into lines
 * @handle: reads the argument (NULL where there is none); or, without a handler:
 * @text_at: offset of the char * in MachineConfig that the argument becomes, if there is one
 * @flag_at: offset of the bool that becomes true, if there is none
 * @any_text: the argument may be empty, and may look like an option
 */
typedef struct Option {
    const char *name;
    const char *alias;
    const char *argument;
    const char *help;
    OptionHandler *handle;
    size_t text_at;
    size_t flag_at;
    bool any_text;
} Option;

/* option-table.c: in the order of -help */
extern const Option options[];
extern const size_t option_count;

/*
 * Options whose argument has a grammar of its own. Each reads its argument into @config, which is as it was on failure. Returns: OPTIONS_RUN to go
 * on, OPTIONS_DONE when the argument asked for help and was answered, OPTIONS_ERROR with @error.
 */
OptionsResult memory_option(MachineConfig *config, const char *text, GError **error);
OptionsResult smp_option(MachineConfig *config, const char *text, GError **error);
OptionsResult machine_option(MachineConfig *config, const char *text, GError **error);
OptionsResult accel_option(MachineConfig *config, const char *text, GError **error);

/** options_answer() - writes @text on standard output. Returns: OPTIONS_DONE, or OPTIONS_ERROR */
OptionsResult options_answer(const char *text, GError **error);

/**
 * option_get_text() - a value that must have been written and must not be empty
 * @option: for the message: "-machine"
 * @ret_value: a new string that replaces the old one; as it was when @key was not given
 */
bool option_get_text(const Keyval *kv, const char *option, const char *key, char **ret_value,
                     GError **error);

#endif
