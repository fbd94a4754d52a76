/* SPDX-License-Identifier: MIT */
/* The description of the processor that gdb reads when it attaches. */
#include "registers-internal.h"

/* Source: "Debugging with GDB", appendix G (target descriptions), G.5.5 (x86 features). */

typedef struct FlagField {
    const char *name;
    unsigned first, last; /* bits */
} FlagField;

typedef struct FlagType {
    const char *id;
    unsigned bytes;
    GdbFeature feature;
    const FlagField *fields; /* ends with a NULL name */
} FlagType;

#define BIT(name, n) { name, n, n }

/* Intel SDM volume 1, figures 3-8 and 10-3; volume 3A, figure 2-7 and section 2.2.1. */
static const FlagField eflags[] = {
    BIT("CF", 0), BIT("", 1), BIT("PF", 2), BIT("AF", 4), BIT("ZF", 6), BIT("SF", 7), BIT("TF", 8),
    BIT("IF", 9), BIT("DF", 10), BIT("OF", 11), BIT("NT", 14), BIT("RF", 16), BIT("VM", 17),
    BIT("AC", 18), BIT("VIF", 19), BIT("VIP", 20), BIT("ID", 21), { 0 },
};
static const FlagField mxcsr[] = {
    BIT("IE", 0), BIT("DE", 1), BIT("ZE", 2), BIT("OE", 3), BIT("UE", 4), BIT("PE", 5),
    BIT("DAZ", 6), BIT("IM", 7), BIT("DM", 8), BIT("ZM", 9), BIT("OM", 10), BIT("UM", 11),
    BIT("PM", 12), BIT("FZ", 15), { 0 },
};
static const FlagField cr0[] = {
    BIT("PE", 0), BIT("MP", 1), BIT("EM", 2), BIT("TS", 3), BIT("ET", 4), BIT("NE", 5),
    BIT("WP", 16), BIT("AM", 18), BIT("NW", 29), BIT("CD", 30), BIT("PG", 31), { 0 },
};
static const FlagField cr4[] = {
    BIT("VME", 0), BIT("PVI", 1), BIT("TSD", 2), BIT("DE", 3), BIT("PSE", 4), BIT("PAE", 5),
    BIT("MCE", 6), BIT("PGE", 7), BIT("PCE", 8), BIT("OSFXSR", 9), BIT("OSXMMEXCPT", 10),
    BIT("UMIP", 11), BIT("LA57", 12), BIT("VMXE", 13), BIT("SMXE", 14), BIT("FSGSBASE", 16),
    BIT("PCIDE", 17), BIT("OSXSAVE", 18), BIT("SMEP", 20), BIT("SMAP", 21), BIT("PKE", 22),
    BIT("CET", 23), BIT("PKS", 24), { 0 },
};
static const FlagField efer[] = {
    BIT("SCE", 0), BIT("LME", 8), BIT("LMA", 10), BIT("NXE", 11), BIT("SVME", 12),
    BIT("LMSLE", 13), BIT("FFXSR", 14), BIT("TCE", 15), { 0 },
};

static const FlagType flag_types[] = {
    { "i386_eflags", 4, GDB_FEATURE_CORE, eflags }, { "i386_mxcsr", 4, GDB_FEATURE_SSE, mxcsr },
    { "x86_cr0", 8, GDB_FEATURE_SYSTEM, cr0 },      { "x86_cr4", 8, GDB_FEATURE_SYSTEM, cr4 },
    { "x86_efer", 8, GDB_FEATURE_SYSTEM, efer },
};

static const char *const feature_names[GDB_FEATURE_COUNT] = {
    [GDB_FEATURE_CORE] = "org.gnu.gdb.i386.core",
    [GDB_FEATURE_SSE] = "org.gnu.gdb.i386.sse",
    [GDB_FEATURE_SEGMENTS] = "org.gnu.gdb.i386.segments",
    [GDB_FEATURE_SYSTEM] = "org.tessera.i386.system",
};

/* What an XMM register may hold: name of the member, type of an element, how many. */
static const struct {
    const char *name, *type;
    unsigned count;
} vectors[] = {
    { "v4_float", "ieee_single", 4 }, { "v2_double", "ieee_double", 2 }, { "v16_int8", "int8", 16 },
    { "v8_int16", "int16", 8 },       { "v4_int32", "int32", 4 },        { "v2_int64", "int64", 2 },
};

static void put_flags(const FlagType *type, GString *out)
{
    g_string_append_printf(out, "    <flags id=\"%s\" size=\"%u\">\n", type->id, type->bytes);
    for (const FlagField *f = type->fields; f->name; f++) {
        g_string_append_printf(out, "      <field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", f->name,
                               f->first, f->last);
    }
    g_string_append(out, "    </flags>\n");
}

static void put_vector(GString *out)
{
    for (size_t i = 0; i < G_N_ELEMENTS(vectors); i++) {
        g_string_append_printf(out, "    <vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n",
                               vectors[i].name, vectors[i].type, vectors[i].count);
    }
    g_string_append(out, "    <union id=\"vec128\">\n");
    for (size_t i = 0; i < G_N_ELEMENTS(vectors); i++) {
        g_string_append_printf(out, "      <field name=\"%s\" type=\"%s\"/>\n", vectors[i].name,
                               vectors[i].name);
    }
    g_string_append(out, "      <field name=\"uint128\" type=\"uint128\"/>\n    </union>\n");
}

static void put_feature(GdbFeature feature, GString *out)
{
    g_string_append_printf(out, "  <feature name=\"%s\">\n", feature_names[feature]);
    for (size_t i = 0; i < G_N_ELEMENTS(flag_types); i++) {
        if (flag_types[i].feature == feature) {
            put_flags(&flag_types[i], out);
        }
    }
    if (feature == GDB_FEATURE_SSE) {
        put_vector(out);
    }
    for (unsigned n = 0; n < gdb_register_count; n++) {
        const GdbRegister *r = &gdb_registers[n];

        if (r->feature != feature) {
            continue;
        }
        g_string_append_printf(out,
                               "    <reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"",
                               r->name, r->bits, r->type, n);
        if (r->group) {
            g_string_append_printf(out, " group=\"%s\"", r->group);
        }
        g_string_append(out, "/>\n");
    }
    g_string_append(out, "  </feature>\n");
}

char *gdb_target_xml(void)
{
    GString *out = g_string_new("<?xml version=\"1.0\"?>\n"
                                "<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
                                "<target version=\"1.0\">\n"
                                "  <architecture>i386:x86-64</architecture>\n");

    for (int feature = 0; feature < GDB_FEATURE_COUNT; feature++) {
        put_feature((GdbFeature)feature, out);
    }
    g_string_append(out, "</target>\n");
    return g_string_free(out, FALSE);
}
