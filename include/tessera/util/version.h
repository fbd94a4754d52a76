/* SPDX-License-Identifier: MIT */
/* The version of the program: the one place where it stands. */
#ifndef TESSERA_UTIL_VERSION_H
#define TESSERA_UTIL_VERSION_H

/* Semantic version, as "-version" prints it. */
#define TESSERA_VERSION "0.1.0"

#endif
