/* SPDX-License-Identifier: MIT */
/* What the kernel says of a mapping of this process. */
#ifndef TESSERA_TESTS_HOST_MAPPING_H
#define TESSERA_TESTS_HOST_MAPPING_H

#include <stdbool.h>

/** host_mapping_has_flag() - has the mapping that holds @host @flag ("nh") among smaps' VmFlags? */
bool host_mapping_has_flag(const void *host, const char *flag);

#endif
