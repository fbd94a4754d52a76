/* SPDX-License-Identifier: MIT */
/* AML of the memory sockets: judged by iasl, run by acpiexec. */
#include "tessera/hw/acpi/memory-hotplug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/external-tool.h"
#include "tessera/hw/acpi/tables.h"

#define PORT 0x0a00

static GByteArray *build_ssdt(unsigned slots)
{
    Aml *body = aml_list();

    memory_hotplug_build_aml(body, PORT, slots);
    return acpi_build_definition_block("SSDT", "TESSMEM", body);
}

/* iasl takes the table apart, and what it reads compiles to the same bytes without a complaint. */
static void check_with_iasl(const char *folder, unsigned slots)
{
    g_autoptr(GByteArray) ssdt = build_ssdt(slots);
    g_autoptr(GByteArray) compiled = NULL;
    g_autofree char *output = NULL;
    g_autofree char *again = NULL;

    tool_write(folder, "ssdt.aml", ssdt->data, ssdt->len);
    assert_int_equal(tool_run(folder, &output, "iasl", "-d", "ssdt.aml", NULL), 0);
    if (strstr(output, "Error") || strstr(output, "Could not")) {
        fail_msg("%u slots: %s", slots, output);
    }
    assert_int_equal(tool_run(folder, &again, "iasl", "-of", "-on", "-p", "again", "ssdt.dsl",
                              NULL), 0);
    if (!strstr(again, "0 Errors, 0 Warnings")) {
        fail_msg("%u slots: %s", slots, again);
    }
    compiled = tool_read(folder, "again.aml");
    assert_int_equal(compiled->len, ssdt->len);
    assert_memory_equal(compiled->data + ACPI_HEADER_SIZE, ssdt->data + ACPI_HEADER_SIZE,
                        ssdt->len - ACPI_HEADER_SIZE);
}

static void test_memory_hotplug_build_aml_stands_iasl(void **state)
{
    static const unsigned slots[] = { 1, 2, 3, 255, 256 };
    char *folder;

    if (!tool_available("iasl")) {
        skip();
    }
    folder = tool_folder_new();
    for (size_t i = 0; i < G_N_ELEMENTS(slots); i++) {
        check_with_iasl(folder, slots[i]);
    }
    tool_folder_remove(folder);
}

/* A DSDT without anything, which acpiexec wants beside the SSDT. */
static void write_tables(const char *folder, unsigned slots)
{
    g_autoptr(GByteArray) ssdt = build_ssdt(slots);
    g_autoptr(GByteArray) dsdt = acpi_build_definition_block("DSDT", "EMPTY", aml_list());

    tool_write(folder, "ssdt.aml", ssdt->data, ssdt->len);
    tool_write(folder, "dsdt.aml", dsdt->data, dsdt->len);
}

/*
 * acpiexec's ports are plain memory, each byte @fill at first: what was written is read. So a
 * selector reads as the base's low half, the event of _OST as its high half, and its status as the
 * length: enough to see that each method reaches the registers that it should.
 */
static char *run_commands(unsigned slots, const char *fill, const char *commands)
{
    char *folder = tool_folder_new();
    char *output = NULL;

    write_tables(folder, slots);
    assert_int_equal(tool_run(folder, &output, "acpiexec", "-fv", fill, "-b", commands, "dsdt.aml",
                              "ssdt.aml", NULL),
                     0);
    tool_folder_remove(folder);
    if (strstr(output, "ACPI Error") || strstr(output, "ACPI Warning")) {
        fail_msg("%s: %s", commands, output);
    }
    return output;
}

static void expect_in(const char *output, const char *text)
{
    if (!strstr(output, text)) {
        fail_msg("no \"%s\" in: %s", text, output);
    }
}

/* acpiexec takes a second to start: what can be asked in one run is. */
static void test_memory_hotplug_build_aml_methods_reach_their_registers(void **state)
{
    g_autofree char *output = NULL;

    if (!tool_available("acpiexec")) {
        skip();
    }
    output = run_commands(256, "0",
                          "evaluate \\_SB.MHPC.M0FF._STA;evaluate \\_SB.MHPC.MSEL;"
                          "evaluate \\_SB.MHPC.M0FE._CRS;evaluate \\_SB.MHPC.MSEL;"
                          "evaluate \\_SB.MHPC.M0FD._PXM;evaluate \\_SB.MHPC.MSEL;"
                          "evaluate \\_SB.MHPC.M0FC._EJ0 1;evaluate \\_SB.MHPC.MSEL;"
                          "evaluate \\_SB.MHPC.MSTB;"
                          "evaluate \\_SB.MHPC.M003._OST 2 80000000 (00);"
                          "resources \\_SB.MHPC.M003");
    expect_in(output, "_STA returned");
    expect_in(output, "[Integer] = 0000000000000000"); /* bit 0 is clear: not present */
    expect_in(output, "[Integer] = 00000000000000FF");
    expect_in(output, "[Integer] = 00000000000000FE");
    expect_in(output, "[Integer] = 00000000000000FD");
    expect_in(output, "[Integer] = 00000000000000FC");
    expect_in(output, "[Integer] = 0000000000000008");
    /* Selector 3, event 2 and status 80000000, read back as base and length. */
    expect_in(output, "Address Minimum : 0000000200000003");
    expect_in(output, "Address Maximum : 0000000204C4B402");
    expect_in(output, "Address Length : 0000000004C4B400");
}

static void test_memory_hotplug_build_aml_enabled_socket_is_present(void **state)
{
    g_autofree char *output = NULL;

    if (!tool_available("acpiexec")) {
        skip();
    }
    output = run_commands(2, "1", "evaluate \\_SB.MHPC.M001._STA;evaluate \\_GPE._E03");
    expect_in(output, "[Integer] = 000000000000000F");
    assert_null(strstr(output, "Notify on")); /* nothing is pending */
}

/* Memory keeps what was written to clear a bit: so every socket is found pending, and told. */
static void check_scan(unsigned slots, const char *fill, const char *code, const char *other)
{
    g_autofree char *output = run_commands(slots, fill, "evaluate \\_GPE._E03");

    for (unsigned slot = 0; slot < slots; slot++) {
        g_autofree char *name = g_strdup_printf("Notify on [M%03X]", slot);

        expect_in(output, name);
    }
    expect_in(output, code);
    assert_null(strstr(output, other));
}

static void test_memory_hotplug_build_aml_scan_notifies(void **state)
{
    if (!tool_available("acpiexec")) {
        skip();
    }
    check_scan(256, "3", "Value 0x01", "Value 0x03");
    check_scan(5, "5", "Value 0x03", "Value 0x01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_hotplug_build_aml_stands_iasl),
        cmocka_unit_test(test_memory_hotplug_build_aml_methods_reach_their_registers),
        cmocka_unit_test(test_memory_hotplug_build_aml_enabled_socket_is_present),
        cmocka_unit_test(test_memory_hotplug_build_aml_scan_notifies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
