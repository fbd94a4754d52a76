/* SPDX-License-Identifier: MIT */
/* Translations against a guest that knows its tables, and page walks against the kernel's. */
#include "support/guest.h"

#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include "../../src/accel/kvm/kvm-internal.h"
#include "../../src/accel/kvm/vcpu-internal.h"
#include "../../src/monitor/monitor-internal.h"
#include "payloads/tables.h"

#define PATIENCE (60 * G_USEC_PER_SEC)

/* --- A whole machine with the payload `tables`, and its monitor --- */

typedef struct Translated {
    MachineConfig *config;
    Machine *machine;
    MonitorHub *hub;
    Monitor mon;
    TablesShared shared; /* as the guest left it */
} Translated;

static MachineConfig *parse(const char *options)
{
    const char *folder = g_getenv("TESSERA_PAYLOADS");
    g_autofree char *line = g_strdup_printf("tessera -nodefaults -nographic -kernel "
                                            "%s/tables.elf %s", folder ? folder : ".", options);
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;
    MachineConfig *config = NULL;

    if (options_parse((int)g_strv_length(argv), argv, &config, &error) != OPTIONS_RUN) {
        fail_msg("%s: %s", line, error ? error->message : "no machine");
    }
    return config;
}

/* Runs until the guest has built and tried its tables; it goes on spinning. */
static Translated *translated_new(const char *options)
{
    Translated *t = g_new0(Translated, 1);
    gint64 end = g_get_monotonic_time() + PATIENCE;
    g_autoptr(GError) error = NULL;

    guest_free(guest_new(1)); /* skips without KVM */
    t->config = parse(options);
    t->machine = machine_new(t->config, &error);
    if (!t->machine) {
        fail_msg("%s", error->message);
    }
    t->hub = monitor_hub_new(t->machine);
    t->mon = (Monitor){ .hub = t->hub, .mode = MONITOR_QMP };
    assert_true(machine_cont(t->machine, NULL));
    while (!t->shared.ready) {
        assert_true(g_get_monotonic_time() < end);
        g_usleep(1000);
        assert_true(address_space_peek(machine_memory(t->machine), TABLES_SHARED_BASE, &t->shared,
                                       sizeof(t->shared)));
    }
    assert_int_equal(t->shared.wrong, 0);
    assert_int_equal(t->shared.count, t->shared.gib_pages ? 31 : 29);
    print_message("%u addresses; pages of 1 GiB: %s\n", t->shared.count,
                  t->shared.gib_pages ? "yes" : "this KVM has none");
    return t;
}

static void translated_free(Translated *t)
{
    monitor_hub_free(t->hub);
    machine_free(t->machine);
    machine_config_free(t->config);
    g_free(t);
}

static json_t *translate(Translated *t, uint64_t gva)
{
    const MonitorCommand *cmd = monitor_command_by_qmp(t->hub, "x-query-translate");
    json_t *args = json_pack("{s:I}", "address", (json_int_t)gva);
    g_autoptr(GError) error = NULL;
    json_t *result = NULL;

    if (!cmd->run(&t->mon, args, &result, &error)) {
        fail_msg("0x%" PRIx64 ": %s", gva, error->message);
    }
    json_decref(args);
    return result;
}

static uint64_t u64_of(const json_t *o, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(o, name));
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? text : "(none)";
}

static bool is_set(const json_t *o, const char *name)
{
    return json_is_true(json_object_get(o, name));
}

static bool has_flag(const json_t *entry, const char *flag)
{
    json_t *flags = json_object_get(entry, "flags"), *value;
    size_t i;

    json_array_foreach(flags, i, value) {
        if (strcmp(json_string_value(value), flag) == 0) {
            return true;
        }
    }
    return false;
}

static void check_mapped(Translated *t, const TablesEntry *e, const json_t *answer)
{
    const json_t *paging = json_object_get(answer, "paging");
    const json_t *entries = json_object_get(paging, "entries");
    const json_t *leaf = json_array_get(entries, json_array_size(entries) - 1);
    hwaddr gpa = 0;

    assert_string_equal(text_of(paging, "mode"), "4-level");
    assert_int_equal(u64_of(paging, "cr3"), t->shared.cr3);
    assert_int_equal(u64_of(answer, "gpa"), e->gpa);
    assert_int_equal(u64_of(paging, "page-size"), e->page_size);
    assert_int_equal(json_array_size(entries), e->page_size == 4096 ? 4
                                               : e->page_size == 2 << 20 ? 3 : 2);
    assert_int_equal(is_set(paging, "writable"), (e->rights & TABLES_WRITABLE) != 0);
    assert_int_equal(is_set(paging, "user"), (e->rights & TABLES_USER) != 0);
    assert_int_equal(is_set(paging, "executable"), (e->rights & TABLES_EXECUTABLE) != 0);
    if (e->end == TABLES_MEMORY) { /* others may share a large page with one that was touched */
        assert_int_equal(has_flag(leaf, "accessed"), e->touched);
    }
    if (e->touched) { /* the kernel's own answer, which sets accessed bits */
        assert_true(vcpu_set_translate(machine_vcpus(t->machine), 0, e->gva, &gpa));
        assert_int_equal(gpa, e->gpa);
    }
}

/* Down to the byte: what the guest reads at the address stands at the host address. */
static void check_memory(const TablesEntry *e, const json_t *answer)
{
    const json_t *slot = json_object_get(answer, "slot");
    const json_t *ram = json_object_get(answer, "ram");
    uint64_t value;

    assert_string_equal(text_of(ram, "block"), "pc.ram");
    assert_int_equal(u64_of(ram, "offset"), e->gpa);
    assert_int_equal(u64_of(answer, "hva"), u64_of(slot, "hva") + (e->gpa - u64_of(slot, "gpa")));
    memcpy(&value, (const void *)(uintptr_t)u64_of(answer, "hva"), sizeof(value));
    assert_int_equal(value, e->value);
    assert_string_equal(text_of(json_object_get(answer, "host"), "page"), "present");
}

static void check_address(Translated *t, const TablesEntry *e)
{
    json_t *answer = translate(t, e->gva);
    const json_t *paging = json_object_get(answer, "paging");
    const json_t *entries = json_object_get(paging, "entries");

    switch (e->end) {
    case TABLES_MEMORY:
        check_mapped(t, e, answer);
        check_memory(e, answer);
        break;
    case TABLES_ELSEWHERE:
        check_mapped(t, e, answer);
        assert_string_equal(text_of(answer, "ends-at"), e->gpa < 0x100000 ? "device" : "nothing");
        break;
    default:
        assert_string_equal(text_of(answer, "ends-at"), "page-tables");
        assert_string_equal(text_of(paging, "result"),
                            e->end == TABLES_RESERVED ? "reserved-bits" : "not-present");
        assert_int_equal(u64_of(json_array_get(entries, json_array_size(entries) - 1), "level"),
                         e->level);
    }
    json_decref(answer);
}

static void test_translate_what_the_guest_knows(void **state)
{
    Translated *t = translated_new("-m 64M");

    for (unsigned i = 0; i < t->shared.count; i++) {
        check_address(t, &t->shared.entries[i]);
    }
    machine_stop(t->machine);
    for (unsigned i = 0; i < t->shared.count; i++) {
        check_address(t, &t->shared.entries[i]);
    }
    translated_free(t);
}

static bool run_hmp(Translated *t, const char *line)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    bool ok = hmp_run_line(&t->mon, line, out, &error);

    if (!ok) {
        print_message("%s: %s\n", line, error->message);
    }
    return ok;
}

/* The guest runs, DIMMs come, and a reset takes them out again. */
static void test_translate_while_dimms_come_and_go(void **state)
{
    Translated *t = translated_new("-m 64M,slots=2,maxmem=1G");
    const TablesEntry *e = &t->shared.entries[0];

    for (unsigned round = 0; round < 8; round++) {
        json_t *answer;

        assert_true(run_hmp(t, "object_add memory-backend-ram,id=m,size=128M"));
        assert_true(run_hmp(t, "device_add pc-dimm,id=d,memdev=m"));
        check_address(t, e);
        assert_true(run_hmp(t, "info translate -g 0x100000000"));
        answer = translate(t, e->gva);
        assert_string_equal(text_of(json_object_get(answer, "ram"), "block"), "pc.ram");
        json_decref(answer);
        assert_true(run_hmp(t, "device_del d"));
        t->shared.ready = 0; /* RAM lives on over the reset */
        assert_int_equal(address_space_write(machine_memory(t->machine), TABLES_SHARED_BASE,
                                             MEMTXATTRS_NONE, &(uint32_t){ 0 }, 4), MEMTX_OK);
        machine_system_reset(t->machine);
        for (gint64 end = g_get_monotonic_time() + PATIENCE; !run_hmp(t, "object_del m");) {
            assert_true(g_get_monotonic_time() < end);
            g_main_context_iteration(NULL, FALSE);
        }
        for (gint64 end = g_get_monotonic_time() + PATIENCE; !t->shared.ready;) {
            assert_true(g_get_monotonic_time() < end);
            assert_true(address_space_peek(machine_memory(t->machine), TABLES_SHARED_BASE,
                                           &t->shared, sizeof(t->shared)));
        }
    }
    translated_free(t);
}

/* --- The kernel's walker as reference: it need not run the guest for that --- */

#define TABLES_AT   0x100000 /* in guest RAM: pages of entries */
#define TABLE_PAGES 16

typedef struct Random {
    uint64_t state;
} Random;

/* splitmix64, by Sebastiano Vigna (public domain description). */
static uint64_t random_u64(Random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(Random *r, uint64_t n)
{
    return random_u64(r) % n;
}

/* Not bit 8 of an entry that names a table, in which processors differ. */
static uint64_t random_entry(Random *r)
{
    uint64_t value = TABLES_AT + below(r, TABLE_PAGES) * 4096;

    value |= random_u64(r) & 0xe66;
    value |= below(r, 8) ? 1 : 0;
    value |= below(r, 6) ? 0 : UINT64_C(1) << 63;
    if (below(r, 3) == 0) {
        value = (value & ~UINT64_C(0x3fffff)) | 0x80; /* a large page: no reserved low bits */
    }
    return below(r, 8) ? value : value ^ UINT64_C(1) << (12 + below(r, 51));
}

static void fill_tables(Guest *guest, Random *r)
{
    uint8_t *host = (uint8_t *)ram_block_host(guest->ram_block) + TABLES_AT;

    for (unsigned i = 0; i < TABLE_PAGES * 4096; i += 8) {
        uint64_t value = random_entry(r);

        memcpy(host + i, &value, 8);
    }
}

/* The processor checks PAE's PDPTEs when CR3 is loaded: they are sane here. */
static void make_root(Guest *guest, X86PagingMode mode, uint64_t root, Random *r)
{
    uint8_t *host = (uint8_t *)ram_block_host(guest->ram_block) + root;

    for (unsigned i = 0; mode == X86_PAGING_PAE && i < 4; i++) {
        uint64_t value = (TABLES_AT + below(r, TABLE_PAGES - 1) * 4096) | (below(r, 8) ? 1 : 0);

        memcpy(host + 8 * i, &value, 8);
    }
}

/* False: this KVM, or this processor, does not take such registers. */
static bool set_mode(Guest *guest, X86PagingMode mode, uint64_t root, Random *r)
{
    int fd = guest->vcpus->vcpus[0]->fd;
    bool wide = mode >= X86_PAGING_4LEVEL;
    struct kvm_sregs sregs;

    assert_int_equal(kvm_vcpu_ioctl(guest->kvm, fd, KVM_GET_SREGS, &sregs), 0);
    sregs.cr0 = 0x80000011;
    sregs.cr3 = root;
    sregs.cr4 = (mode == X86_PAGING_32BIT ? X86_PAGING_CR4_PSE : X86_PAGING_CR4_PAE) |
                (mode == X86_PAGING_5LEVEL ? X86_PAGING_CR4_LA57 : 0);
    sregs.efer = (wide ? 0x500 : 0) | (below(r, 2) ? X86_PAGING_EFER_NXE : 0);
    sregs.cs.l = wide;
    sregs.cs.db = !wide;
    return kvm_vcpu_ioctl(guest->kvm, fd, KVM_SET_SREGS, &sregs) == 0 &&
           kvm_vcpu_ioctl(guest->kvm, fd, KVM_GET_SREGS, &sregs) == 0 &&
           (sregs.cr0 & X86_PAGING_CR0_PG);
}

static uint64_t random_gva(Random *r, X86PagingMode mode)
{
    uint64_t gva = random_u64(r);
    unsigned above = mode == X86_PAGING_5LEVEL ? 64 - 57 : 64 - 48;

    return mode >= X86_PAGING_4LEVEL ? (uint64_t)((int64_t)(gva << above) >> above)
                                     : (uint32_t)gva;
}

static bool compare(Guest *guest, X86PagingMode mode, uint64_t gva, unsigned *mapped)
{
    X86PagingState paging;
    hwaddr gpa = 0;
    X86Walk walk;
    bool valid;

    assert_true(vcpu_set_walk(guest->vcpus, 0, gva, &paging, &walk, NULL));
    assert_int_equal(walk.mode, mode);
    valid = vcpu_set_translate(guest->vcpus, 0, gva, &gpa);
    *mapped += valid;
    if (valid != (walk.result == X86_WALK_MAPPED) || (valid && gpa != walk.gpa)) {
        print_error("%s, gva 0x%" PRIx64 ": kernel %d 0x%" PRIx64 ", walk %d 0x%" PRIx64 "\n",
                    x86_paging_mode_name(walk.mode), gva, valid, gpa, walk.result, walk.gpa);
        for (unsigned i = 0; i < walk.count; i++) {
            print_error("  at 0x%" PRIx64 ": 0x%" PRIx64 "\n", walk.entries[i].gpa,
                        walk.entries[i].value);
        }
        return false;
    }
    return true;
}

/* Returns: how many addresses were mapped; 0: this KVM does not take @mode. */
static unsigned walk_random_tables(Guest *guest, X86PagingMode mode)
{
    const char *seed = g_getenv("TESSERA_SEED");
    Random random = { seed ? strtoull(seed, NULL, 0) : 20261122 };
    uint64_t root = TABLES_AT + (TABLE_PAGES - 1) * 4096;
    unsigned mapped = 0;

    print_message("page walks: TESSERA_SEED=0x%" PRIx64 "\n", random.state);
    for (unsigned round = 0; round < 15; round++) {
        fill_tables(guest, &random);
        make_root(guest, mode, root, &random);
        if (!set_mode(guest, mode, root, &random)) {
            return 0;
        }
        for (unsigned i = 0; i < 200; i++) {
            assert_true(compare(guest, mode, random_gva(&random, mode), &mapped));
        }
    }
    print_message("%s: %u mapped\n", x86_paging_mode_name(mode), mapped);
    assert_true(mapped > 50);
    return mapped;
}

/* A KVM that interprets guest kernels takes 4 levels only; in the rig all must be compared. */
static void test_walk_against_the_kernel(void **state)
{
    static const X86PagingMode modes[] = { X86_PAGING_32BIT, X86_PAGING_PAE, X86_PAGING_4LEVEL,
                                           X86_PAGING_5LEVEL };
    unsigned compared = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        Guest *guest = guest_new(1);
        unsigned mapped = walk_random_tables(guest, modes[i]);

        guest_free(guest);
        compared += mapped > 0;
        if (mapped == 0) {
            print_message("# this KVM takes no %s paging\n", x86_paging_mode_name(modes[i]));
        }
    }
    assert_true(compared > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_translate_what_the_guest_knows),
        cmocka_unit_test(test_translate_while_dimms_come_and_go),
        cmocka_unit_test(test_walk_against_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
