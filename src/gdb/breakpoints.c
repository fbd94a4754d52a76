/* SPDX-License-Identifier: MIT */
/* Breakpoints and watchpoints: INT3 instructions in guest memory, and debug registers. */
#include "gdb-internal.h"

#include <string.h>

#define INT3 0xcc

/*
 * A software breakpoint lies at a guest-physical address: whatever is mapped where later, there the
 * INT3 is, and there the guest's own byte belongs back.
 */
typedef struct Software {
    uint64_t gva; /* by which gdb knows it */
    hwaddr gpa;
    uint8_t own; /* the guest's byte */
} Software;

typedef struct Hardware {
    GdbBreakType type;
    uint64_t gva;
    uint64_t len;
} Hardware;

struct GdbBreakpoints {
    const GdbTarget *target;
    GArray *software; /* Software */
    GArray *int3;     /* hwaddr: the same places, as a plan wants them */
    GArray *hardware; /* Hardware, in the order of the plan's slots */
};

static Software *software_at(const GdbBreakpoints *b, unsigned i)
{
    return &g_array_index(b->software, Software, i);
}

static Hardware *hardware_at(const GdbBreakpoints *b, unsigned i)
{
    return &g_array_index(b->hardware, Hardware, i);
}

GdbBreakpoints *gdb_breakpoints_new(const GdbTarget *target)
{
    GdbBreakpoints *b = g_new0(GdbBreakpoints, 1);

    b->target = target;
    b->software = g_array_new(FALSE, FALSE, sizeof(Software));
    b->int3 = g_array_new(FALSE, FALSE, sizeof(hwaddr));
    b->hardware = g_array_new(FALSE, FALSE, sizeof(Hardware));
    return b;
}

void gdb_breakpoints_free(GdbBreakpoints *b)
{
    if (b) {
        g_array_unref(b->software);
        g_array_unref(b->int3);
        g_array_unref(b->hardware);
        g_free(b);
    }
}

/* Software breakpoints. */

static void list_int3(GdbBreakpoints *b)
{
    g_array_set_size(b->int3, 0);
    for (guint i = 0; i < b->software->len; i++) {
        g_array_append_val(b->int3, software_at(b, i)->gpa);
    }
}

static Software *find_gpa(const GdbBreakpoints *b, hwaddr gpa)
{
    for (guint i = 0; i < b->software->len; i++) {
        if (software_at(b, i)->gpa == gpa) {
            return software_at(b, i);
        }
    }
    return NULL;
}

static bool read_byte(const GdbBreakpoints *b, hwaddr gpa, uint8_t *ret)
{
    return b->target->read(b->target->opaque, 0, true, gpa, ret, 1);
}

static bool write_byte(const GdbBreakpoints *b, hwaddr gpa, uint8_t byte)
{
    return b->target->write(b->target->opaque, 0, true, gpa, &byte, 1);
}

/* Another one at the same place, by another virtual address, has the guest's byte already. */
static bool insert_software(GdbBreakpoints *b, unsigned cpu, uint64_t gva)
{
    Software new = { .gva = gva };
    const Software *same;

    if (!b->target->translate(b->target->opaque, cpu, gva, &new.gpa)) {
        return false;
    }
    for (guint i = 0; i < b->software->len; i++) {
        if (software_at(b, i)->gva == gva && software_at(b, i)->gpa == new.gpa) {
            return true;
        }
    }
    same = find_gpa(b, new.gpa);
    if (same) {
        new.own = same->own;
    } else if (!read_byte(b, new.gpa, &new.own) || !write_byte(b, new.gpa, INT3)) {
        return false;
    }
    g_array_append_val(b->software, new);
    list_int3(b);
    return true;
}

/* Where the guest has written something else meanwhile, that stays: the code is gone. */
static void remove_software_at(GdbBreakpoints *b, guint i)
{
    Software old = *software_at(b, i);
    uint8_t now;

    g_array_remove_index(b->software, i);
    if (!find_gpa(b, old.gpa) && read_byte(b, old.gpa, &now) && now == INT3) {
        write_byte(b, old.gpa, old.own);
    }
}

void gdb_breakpoints_remove_software(GdbBreakpoints *b)
{
    while (b->software->len) {
        remove_software_at(b, b->software->len - 1);
    }
    list_int3(b);
}

/* How far into [@addr, @addr + @len) a breakpoint lies; false: it does not. */
static bool offset_in(const Software *s, bool physical, uint64_t addr, size_t len, size_t *ret)
{
    uint64_t offset = (physical ? s->gpa : s->gva) - addr;

    *ret = (size_t)offset;
    return offset < len;
}

void gdb_breakpoints_hide(const GdbBreakpoints *b, bool physical, uint64_t addr, uint8_t *buf,
                          size_t len)
{
    for (guint i = 0; i < b->software->len; i++) {
        const Software *s = software_at(b, i);
        size_t at;

        if (offset_in(s, physical, addr, len, &at) && buf[at] == INT3) {
            buf[at] = s->own;
        }
    }
}

void gdb_breakpoints_keep(GdbBreakpoints *b, bool physical, uint64_t addr, uint8_t *buf, size_t len)
{
    for (guint i = 0; i < b->software->len; i++) {
        const Software *s = software_at(b, i);
        size_t at;

        for (guint j = 0; offset_in(s, physical, addr, len, &at) && j < b->software->len; j++) {
            if (software_at(b, j)->gpa == s->gpa) {
                software_at(b, j)->own = buf[at];
            }
        }
    }
    for (guint i = 0; i < b->software->len; i++) {
        size_t at;

        if (offset_in(software_at(b, i), physical, addr, len, &at)) {
            buf[at] = INT3;
        }
    }
}

/* Debug registers. */

static VcpuWatch watch_of(GdbBreakType type)
{
    switch (type) {
    case GDB_BREAK_HARDWARE:
        return VCPU_WATCH_EXECUTE;
    case GDB_WATCH_WRITE:
        return VCPU_WATCH_WRITE;
    default:
        return VCPU_WATCH_ACCESS;
    }
}

unsigned gdb_split_watch(uint64_t gva, uint64_t len, VcpuWatch watch, VcpuDebugSlot *slots,
                         unsigned room)
{
    unsigned n = 0;

    while (len > 0) {
        unsigned piece = 8;

        if (n == room) {
            return 0;
        }
        while (piece > len || gva % piece) {
            piece /= 2;
        }
        slots[n++] = (VcpuDebugSlot){ .gva = gva, .len = piece, .watch = watch };
        gva += piece;
        len -= piece;
    }
    return n;
}

/* All slots of the plan, and whose each one is. False: there are not enough. */
static bool fill_slots(const GdbBreakpoints *b, VcpuDebugSlot *slots, unsigned *owner,
                       unsigned *ret_count)
{
    unsigned n = 0;

    for (guint i = 0; i < b->hardware->len; i++) {
        const Hardware *h = hardware_at(b, i);
        unsigned more =
            gdb_split_watch(h->gva, h->len, watch_of(h->type), slots + n, VCPU_DEBUG_SLOTS - n);

        if (more == 0) {
            return false;
        }
        for (unsigned j = 0; j < more; j++) {
            owner[n + j] = i;
        }
        n += more;
    }
    *ret_count = n;
    return true;
}

static bool find_hardware(const GdbBreakpoints *b, const Hardware *h, guint *ret_i)
{
    for (guint i = 0; i < b->hardware->len; i++) {
        const Hardware *x = hardware_at(b, i);

        if (x->type == h->type && x->gva == h->gva && x->len == h->len) {
            *ret_i = i;
            return true;
        }
    }
    return false;
}

static bool insert_hardware(GdbBreakpoints *b, const Hardware *h)
{
    VcpuDebugSlot slots[VCPU_DEBUG_SLOTS];
    unsigned owner[VCPU_DEBUG_SLOTS], count;
    guint i;

    if (find_hardware(b, h, &i)) {
        return true;
    }
    g_array_append_val(b->hardware, *h);
    if (!fill_slots(b, slots, owner, &count)) {
        g_array_set_size(b->hardware, b->hardware->len - 1);
        return false;
    }
    return true;
}

/* A breakpoint's length is that of the instruction that gdb would write; the processor wants 1. */
static Hardware hardware_of(GdbBreakType type, uint64_t gva, uint64_t len)
{
    return (Hardware){ type, gva, type == GDB_BREAK_HARDWARE ? 1 : len };
}

bool gdb_breakpoints_insert(GdbBreakpoints *b, unsigned cpu, GdbBreakType type, uint64_t gva,
                            uint64_t len)
{
    Hardware h = hardware_of(type, gva, len);

    if (len == 0 || (type <= GDB_BREAK_HARDWARE && len != 1)) {
        return false;
    }
    return type == GDB_BREAK_SOFTWARE ? insert_software(b, cpu, gva) : insert_hardware(b, &h);
}

void gdb_breakpoints_remove(GdbBreakpoints *b, GdbBreakType type, uint64_t gva, uint64_t len)
{
    Hardware h = hardware_of(type, gva, len);
    guint i;

    if (type != GDB_BREAK_SOFTWARE) {
        if (find_hardware(b, &h, &i)) {
            g_array_remove_index(b->hardware, i);
        }
        return;
    }
    for (i = b->software->len; i-- > 0;) {
        if (software_at(b, i)->gva == gva) {
            remove_software_at(b, i);
        }
    }
    list_int3(b);
}

void gdb_breakpoints_plan(const GdbBreakpoints *b, VcpuDebugPlan *ret_plan)
{
    unsigned owner[VCPU_DEBUG_SLOTS];
    bool fits;

    *ret_plan = (VcpuDebugPlan){
        .int3 = (const hwaddr *)(void *)b->int3->data,
        .int3_count = b->int3->len,
    };
    fits = fill_slots(b, ret_plan->slots, owner, &ret_plan->slot_count);
    g_assert(fits); /* each was refused if it did not */
}

GdbBreakType gdb_breakpoints_slot(const GdbBreakpoints *b, unsigned slot, uint64_t *ret_gva)
{
    VcpuDebugSlot slots[VCPU_DEBUG_SLOTS];
    unsigned owner[VCPU_DEBUG_SLOTS], count = 0;

    if (!fill_slots(b, slots, owner, &count) || slot >= count) {
        return GDB_BREAK_SOFTWARE;
    }
    *ret_gva = slots[slot].gva;
    return hardware_at(b, owner[slot])->type;
}
