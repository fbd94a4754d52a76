/* SPDX-License-Identifier: MIT */
/* info stats, query-stats, query-stats-schemas: what a kernel counts, whatever that is. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support/monitor-fixture.h"

#define NAME 24

typedef struct Stat {
    const char *name;
    uint32_t flags;
    int16_t exponent;
    uint16_t size;
    uint32_t bucket_size;
    uint64_t first; /* then first + 1, ... */
} Stat;

static const Stat stats[] = {
    { "exits", KVM_STATS_TYPE_CUMULATIVE, 0, 1, 0, 77 },
    { "poll_ns", KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_SECONDS, -9, 1, 0, 1234 },
    { "wait_hist", KVM_STATS_TYPE_LINEAR_HIST, 0, 3, 1000, 5 },
    { "log_hist", KVM_STATS_TYPE_LOG_HIST | KVM_STATS_UNIT_CYCLES, 0, 2, 0, 8 },
    { "blocking", KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BOOLEAN, 0, 1, 0, 1 },
    { "size", KVM_STATS_TYPE_PEAK | KVM_STATS_UNIT_BYTES | KVM_STATS_BASE_POW2, 20, 1, 0, 3 },
    { "later", 0xfff, 0, 1, 0, 9 },
};

/* A file as KVM_GET_STATS_FD gives it. */
static void offer_stats(void)
{
    struct kvm_stats_header header = {
        .name_size = NAME,
        .num_desc = G_N_ELEMENTS(stats),
        .desc_offset = sizeof(header),
        .data_offset =
            sizeof(header) + G_N_ELEMENTS(stats) * (sizeof(struct kvm_stats_desc) + NAME),
    };
    g_autoptr(GByteArray) file = g_byte_array_new();
    g_autoptr(GByteArray) data = g_byte_array_new();

    g_byte_array_append(file, (const guint8 *)&header, sizeof(header));
    for (size_t i = 0; i < G_N_ELEMENTS(stats); i++) {
        const Stat *s = &stats[i];
        struct kvm_stats_desc desc = { .flags = s->flags, .exponent = s->exponent, .size = s->size,
                                       .offset = data->len, .bucket_size = s->bucket_size };
        char name[NAME] = "";

        g_strlcpy(name, s->name, sizeof(name));
        g_byte_array_append(file, (const guint8 *)&desc, sizeof(desc));
        g_byte_array_append(file, (const guint8 *)name, sizeof(name));
        for (uint64_t k = 0; k < s->size; k++) {
            uint64_t value = s->first + k;

            g_byte_array_append(data, (const guint8 *)&value, sizeof(value));
        }
    }
    g_byte_array_append(file, data->data, data->len);
    model_kvm_set_cap(KVM_CAP_BINARY_STATS_FD, 1);
    model_kvm_set_stats(file->data, file->len);
}

/* The answer is this JSON, whatever the order of its members. */
static void check_json(const json_t *got, const char *wanted)
{
    json_t *value = json_loads(wanted, JSON_ALLOW_NUL, NULL);

    assert_non_null(value);
    if (!json_equal((json_t *)got, value)) {
        g_autofree char *text = json_dumps(got, JSON_INDENT(1));

        fail_msg("%s", text);
    }
    json_decref(value);
}

#define VALUES                                                                                    \
    "[{'name': 'exits', 'value': 77}, {'name': 'poll_ns', 'value': 1234},"                        \
    " {'name': 'wait_hist', 'value': [5, 6, 7]}, {'name': 'log_hist', 'value': [8, 9]},"          \
    " {'name': 'blocking', 'value': true}, {'name': 'size', 'value': 3},"                         \
    " {'name': 'later', 'value': 9}]"
#define SCHEMA                                                                                    \
    "[{'name': 'exits', 'type': 'cumulative', 'exponent': 0},"                                    \
    " {'name': 'poll_ns', 'type': 'cumulative', 'unit': 'seconds', 'base': 10, 'exponent': -9},"  \
    " {'name': 'wait_hist', 'type': 'linear-histogram', 'exponent': 0, 'bucket-size': 1000},"     \
    " {'name': 'log_hist', 'type': 'log2-histogram', 'unit': 'cycles', 'exponent': 0},"           \
    " {'name': 'blocking', 'type': 'instant', 'unit': 'boolean', 'exponent': 0},"                 \
    " {'name': 'size', 'type': 'peak', 'unit': 'bytes', 'base': 2, 'exponent': 20},"              \
    " {'name': 'later', 'exponent': 0}]"

static char *quoted(const char *text)
{
    return g_strdelimit(g_strdup(text), "'", '"');
}

static void test_query_stats_of_vm_and_vcpus(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64 -smp 2");
    g_autofree char *vm = quoted("[{'provider': 'kvm', 'stats': " VALUES "}]");
    g_autofree char *vcpus =
        quoted("[{'provider': 'kvm', 'qom-path': '/machine/cpu[0]', 'stats': " VALUES "},"
               " {'provider': 'kvm', 'qom-path': '/machine/cpu[1]', 'stats': " VALUES "}]");

    offer_stats();
    monitor_fixture_hmp(f, "cont");
    check_json(monitor_fixture_qmp(f, "query-stats", "{\"target\": \"vm\"}"), vm);
    check_json(monitor_fixture_qmp(f, "query-stats", "{\"target\": \"vcpu\"}"), vcpus);
    assert_text_has(monitor_fixture_qmp_error(f, "query-stats", "{\"target\": \"disk\"}"),
                    "'disk': there are statistics of 'vm' and 'vcpu'");
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
    monitor_fixture_free(f);
}

static void test_query_stats_schemas(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64");
    g_autofree char *wanted =
        quoted("[{'provider': 'kvm', 'target': 'vm', 'stats': " SCHEMA "},"
               " {'provider': 'kvm', 'target': 'vcpu', 'stats': " SCHEMA "}]");

    offer_stats();
    check_json(monitor_fixture_qmp(f, "query-stats-schemas", NULL), wanted);
    monitor_fixture_free(f);
}

static void test_info_stats_text(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64");

    offer_stats();
    assert_string_equal(monitor_fixture_hmp(f, "info stats vm"),
                        "provider: kvm\n"
                        "    exits: 77\n"
                        "    poll_ns: 1234\n"
                        "    wait_hist: [0]=5 [1]=6 [2]=7\n"
                        "    log_hist: [0]=8 [1]=9\n"
                        "    blocking: yes\n"
                        "    size: 3\n"
                        "    later: 9\n");
    assert_text_has(monitor_fixture_hmp(f, "info stats vcpu"), "provider: kvm, /machine/cpu[0]\n");
    monitor_fixture_free(f);
}

static void test_query_stats_where_the_kernel_does_not_tell(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64");

    assert_text_has(monitor_fixture_hmp_error(f, "info stats vm"), "5.14");
    assert_text_has(f->error->message, "/sys/kernel/debug/kvm");
    assert_text_has(monitor_fixture_hmp_error(f, "info stats vcpu"), "5.14");
    assert_text_has(monitor_fixture_qmp_error(f, "query-stats-schemas", NULL), "5.14");
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query_stats_of_vm_and_vcpus),
        cmocka_unit_test(test_query_stats_schemas),
        cmocka_unit_test(test_info_stats_text),
        cmocka_unit_test(test_query_stats_where_the_kernel_does_not_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
