/* SPDX-License-Identifier: MIT */
/* Who competed for an address: the rules of region.h, asked for one address from the root down. */
#include "tessera/memory/address-explain.h"

#include "tree-internal.h"

/*
 * A region is asked only while nobody before it has answered; those behind are entered as beaten,
 * without a look at what lies below them but for the one question whose content they would show.
 */
typedef struct Contest {
    GArray *entries;
    Int128 addr;
} Contest;

static MemoryRegion *ask(Contest *c, MemoryRegion *mr, unsigned depth, Int128 base,
                         bool behind_alias);

const char *contest_result_name(ContestResult result)
{
    static const char *const names[] = {
        [CONTEST_ENTERED] = "entered",   [CONTEST_WON] = "won",
        [CONTEST_OPEN] = "open",         [CONTEST_DISABLED] = "disabled",
        [CONTEST_LOW_PRIORITY] = "lower-priority", [CONTEST_OLDER] = "older",
        [CONTEST_COVERED] = "covered",
    };

    return names[result];
}

static gint compare_siblings(gconstpointer a, gconstpointer b)
{
    const MemoryRegion *x = *(MemoryRegion *const *)a;
    const MemoryRegion *y = *(MemoryRegion *const *)b;

    return region_beats(x, y) ? -1 : x != y;
}

/* Children of @mr that reach over its @offset, disabled ones too, in winning order. */
static GPtrArray *candidates_of(const MemoryRegion *mr, Int128 offset)
{
    GPtrArray *children = mr->children ? region_index_all(mr->children) : g_ptr_array_new();
    guint kept = 0;

    for (guint i = 0; i < children->len; i++) {
        MemoryRegion *child = g_ptr_array_index(children, i);

        if (addr_range_contains(addr_range(child->addr, child->size), offset)) {
            children->pdata[kept++] = child;
        }
    }
    g_ptr_array_set_size(children, (gint)kept);
    g_ptr_array_sort(children, compare_siblings);
    return children;
}

/* Whose content @mr shows at @offset; NULL: nothing. @mr itself is taken to be enabled. */
static MemoryRegion *shown_at(MemoryRegion *mr, Int128 offset)
{
    g_autoptr(GPtrArray) children = NULL;
    MemoryRegion *shown = NULL;

    if (mr->alias) {
        Int128 in_target = offset + mr->alias_offset;

        return mr->alias->enabled && in_target < mr->alias->size ? shown_at(mr->alias, in_target)
                                                                 : NULL;
    }
    children = candidates_of(mr, offset);
    for (guint i = 0; !shown && i < children->len; i++) {
        MemoryRegion *child = g_ptr_array_index(children, i);

        shown = child->enabled ? shown_at(child, offset - child->addr) : NULL;
    }
    return shown ? shown : region_has_content(mr) ? mr : NULL;
}

/* The entry's place is returned: the array moves as it grows. */
static guint enter(Contest *c, MemoryRegion *mr, unsigned depth, Int128 base, ContestResult result)
{
    ContestEntry entry = { .mr = mr, .depth = depth, .base = base,
                           .offset = (hwaddr)(c->addr - base), .result = result };

    g_array_append_val(c->entries, entry);
    return c->entries->len - 1;
}

static ContestEntry *entry_at(Contest *c, guint i)
{
    return &g_array_index(c->entries, ContestEntry, i);
}

static void enter_beaten(Contest *c, MemoryRegion *mr, unsigned depth, Int128 base,
                         MemoryRegion *beaten_by, MemoryRegion *would_show)
{
    ContestResult result = mr == memory_region_container(beaten_by) ? CONTEST_COVERED
                           : mr->priority < beaten_by->priority     ? CONTEST_LOW_PRIORITY
                                                                    : CONTEST_OLDER;
    guint i = enter(c, mr, depth, base, result);

    entry_at(c, i)->beaten_by = beaten_by;
    entry_at(c, i)->would_show = would_show;
}

static void enter_disabled(Contest *c, MemoryRegion *mr, unsigned depth, Int128 base)
{
    guint i = enter(c, mr, depth, base, CONTEST_DISABLED);

    entry_at(c, i)->would_show = shown_at(mr, c->addr - base);
}

/* The children of @mr at the address, and its own content behind them. */
static MemoryRegion *ask_children(Contest *c, MemoryRegion *mr, unsigned depth, Int128 base)
{
    g_autoptr(GPtrArray) children = candidates_of(mr, c->addr - base);
    MemoryRegion *winner = NULL, *through = NULL;

    for (guint i = 0; i < children->len; i++) {
        MemoryRegion *child = g_ptr_array_index(children, i);
        Int128 child_base = base + child->addr;

        if (!child->enabled) {
            enter_disabled(c, child, depth, child_base);
        } else if (winner) {
            enter_beaten(c, child, depth, child_base, through,
                         shown_at(child, c->addr - child_base));
        } else {
            winner = ask(c, child, depth, child_base, false);
            through = winner ? child : NULL;
        }
    }
    if (winner && region_has_content(mr)) {
        enter_beaten(c, mr, depth, base, through, mr);
    }
    return winner;
}

static MemoryRegion *ask_target(Contest *c, MemoryRegion *alias, unsigned depth, Int128 base)
{
    MemoryRegion *target = alias->alias;
    Int128 target_base = base - alias->alias_offset;

    if (c->addr - target_base >= target->size) {
        return NULL; /* the window reaches over the target's end */
    }
    if (!target->enabled) {
        enter_disabled(c, target, depth, target_base);
        entry_at(c, c->entries->len - 1)->behind_alias = true;
        return NULL;
    }
    return ask(c, target, depth, target_base, true);
}

/* @mr is enabled and reaches over the address. Returns: who answers in it, or NULL. */
static MemoryRegion *ask(Contest *c, MemoryRegion *mr, unsigned depth, Int128 base,
                         bool behind_alias)
{
    guint i = enter(c, mr, depth, base, CONTEST_OPEN);
    MemoryRegion *winner;

    entry_at(c, i)->behind_alias = behind_alias;
    winner = mr->alias ? ask_target(c, mr, depth + 1, base) : ask_children(c, mr, depth + 1, base);
    if (winner) {
        entry_at(c, i)->result = CONTEST_ENTERED;
    } else if (region_has_content(mr)) {
        entry_at(c, i)->result = CONTEST_WON;
        winner = mr;
    }
    return winner;
}

static GArray *contest_of(MemoryRegion *root, hwaddr addr)
{
    Contest c = { .entries = g_array_new(FALSE, TRUE, sizeof(ContestEntry)), .addr = addr };

    if (addr < root->size) {
        if (root->enabled) {
            ask(&c, root, 0, 0, false);
        } else {
            enter_disabled(&c, root, 0, 0);
        }
    }
    return c.entries;
}

static void find_neighbours(AddressExplanation *x, const FlatView *view)
{
    const FlatRange *before = flatview_find_before(view, x->addr);
    const FlatRange *after = flatview_find_from(view, x->addr);

    x->has_before = before != NULL;
    x->has_after = after != NULL;
    if (before) {
        x->before = memory_region_section_from_range(x->as, before);
    }
    if (after) {
        x->after = memory_region_section_from_range(x->as, after);
    }
}

AddressExplanation *address_explain(AddressSpace *as, hwaddr addr)
{
    AddressExplanation *x = g_new0(AddressExplanation, 1);
    const FlatView *view;
    const FlatRange *fr;

    g_assert(memory_system_is_locked(as->ms) && !transaction_is_open(as->ms));
    view = address_space_flatview(as);
    x->as = as;
    x->addr = addr;
    x->generation = flatview_generation(view);
    x->contest = contest_of(as->root, addr);
    fr = flatview_find(view, addr);
    x->answered = fr != NULL;
    if (fr) {
        x->tile = memory_region_section_from_range(as, fr);
    } else {
        find_neighbours(x, view);
    }
    dispatch_path(flatview_dispatch(view), addr, &x->dispatch);
    return x;
}

void address_explanation_free(AddressExplanation *explanation)
{
    if (explanation) {
        g_array_unref(explanation->contest);
        g_free(explanation);
    }
}
