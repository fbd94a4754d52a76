/* SPDX-License-Identifier: MIT */
/* The options whose argument has a grammar of its own; each is a handler of options.c's table. */
#ifndef TESSERA_MACHINE_OPTIONS_INTERNAL_H
#define TESSERA_MACHINE_OPTIONS_INTERNAL_H

#include <glib.h>
#include "tessera/machine/config.h"
#include "tessera/util/keyval.h"

/*
 * Each reads its argument into @config, which is as it was on failure. Returns: OPTIONS_RUN to go
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
