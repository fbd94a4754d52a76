/* SPDX-License-Identifier: MIT */
/* Everything that must hold of an address space's view after a commit, however it was made. */
#ifndef TESSERA_TESTS_VIEW_CHECK_H
#define TESSERA_TESTS_VIEW_CHECK_H

#include "../../../src/memory/tree-internal.h"

/**
 * view_check() - asserts of @as
 *   - the view is the painting of its root, and what a full render makes of it, tile for tile;
 *   - its root is the effective root, and every space with that root has the same view;
 *   - lookup and dispatch find at, before and behind every border what a walk finds;
 *   - the radix is, entry for entry, what is built from scratch, and has as many nodes as it counted;
 *   - eventfds and coalesced ranges are those that its tiles show.
 */
void view_check(AddressSpace *as);

/** view_check_rendered() - the same without the painting, for trees too large for that */
void view_check_rendered(AddressSpace *as);

/** view_check_spaces() - all spaces of @ms */
void view_check_spaces(MemorySystem *ms);

/** radix_check() - the radix of @view, which has a dispatch, is what is built from scratch */
void radix_check(const FlatView *view);

/** dispatch_check() - lookups in @view against a walk: at, before and behind each of its borders */
void dispatch_check(const FlatView *view);

#endif
