/* SPDX-License-Identifier: MIT */
/* A machine on the model KVM with a monitor that a test talks to. */
#include "monitor-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "tessera/hw/i386/pc-map.h"
#include "tessera/memory/mtree-dump.h"

static MachineConfig *parse(const char *options)
{
    g_autofree char *line = g_strdup_printf("tessera -nodefaults -nographic -kernel none "
                                            "-accel kvm,device=%s%s%s",
                                            MODEL_KVM_DEVICE, options ? " " : "",
                                            options ? options : "");
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;
    MachineConfig *config = NULL;

    if (options_parse((int)g_strv_length(argv), argv, &config, &error) != OPTIONS_RUN) {
        fail_msg("%s: %s", line, error ? error->message : "no machine");
    }
    g_clear_pointer(&config->kernel, g_free); /* an empty machine: enough for a monitor */
    return config;
}

MonitorFixture *monitor_fixture_new(const char *options)
{
    MonitorFixture *f = g_new0(MonitorFixture, 1);
    g_autoptr(GError) error = NULL;

    model_kvm_reset();
    f->config = parse(options);
    f->machine = machine_new(f->config, &error);
    if (!f->machine) {
        fail_msg("%s", error->message);
    }
    f->vm = model_kvm_vm(machine_kvm(f->machine));
    f->hub = monitor_hub_new(f->machine);
    f->mon = (Monitor){ .hub = f->hub, .mode = MONITOR_HMP };
    f->out = g_string_new(NULL);
    return f;
}

void monitor_fixture_free(MonitorFixture *f)
{
    monitor_hub_free(f->hub);
    machine_free(f->machine);
    machine_config_free(f->config);
    model_kvm_reset();
    g_string_free(f->out, TRUE);
    g_clear_error(&f->error);
    json_decref(f->result);
    g_free(f);
}

static bool run_line(MonitorFixture *f, const char *line)
{
    g_string_truncate(f->out, 0);
    g_clear_error(&f->error);
    return hmp_run_line(&f->mon, line, f->out, &f->error);
}

const char *monitor_fixture_hmp(MonitorFixture *f, const char *line)
{
    if (!run_line(f, line)) {
        fail_msg("%s: %s", line, f->error->message);
    }
    assert_null(f->error);
    return f->out->str;
}

const char *monitor_fixture_hmp_error(MonitorFixture *f, const char *line)
{
    if (run_line(f, line)) {
        fail_msg("%s: succeeded: %s", line, f->out->str);
    }
    assert_non_null(f->error);
    return f->error->message;
}

static bool run_qmp(MonitorFixture *f, const char *command, const char *arguments)
{
    const MonitorCommand *cmd = monitor_command_by_qmp(f->hub, command);
    json_t *args = arguments ? json_loads(arguments, 0, NULL) : json_object();
    bool ok;

    assert_non_null(cmd);
    assert_non_null(args);
    g_clear_error(&f->error);
    json_decref(f->result);
    f->result = NULL;
    ok = monitor_args_check(cmd, args, &f->error) &&
         cmd->run(&f->mon, args, &f->result, &f->error);
    json_decref(args);
    return ok;
}

json_t *monitor_fixture_qmp(MonitorFixture *f, const char *command, const char *arguments)
{
    if (!run_qmp(f, command, arguments)) {
        fail_msg("%s %s: %s", command, arguments ? arguments : "", f->error->message);
    }
    assert_null(f->error);
    if (!f->result) {
        f->result = json_object();
    }
    return f->result;
}

const char *monitor_fixture_qmp_error(MonitorFixture *f, const char *command,
                                      const char *arguments)
{
    assert_false(run_qmp(f, command, arguments));
    assert_non_null(f->error);
    assert_null(f->result);
    return f->error->message;
}

void monitor_fixture_poke(MonitorFixture *f, hwaddr gpa, const void *bytes, size_t len)
{
    assert_int_equal(address_space_write_rom(machine_memory(f->machine), gpa, MEMTXATTRS_NONE,
                                             bytes, len),
                     MEMTX_OK);
}

static void guest_out(MonitorFixture *f, uint16_t port, uint32_t value)
{
    assert_int_equal(address_space_write(machine_io(f->machine), port, MEMTXATTRS_NONE, &value,
                                         port == PC_PORT_MEMORY_HOTPLUG + 0x14 ? 1 : 4),
                     MEMTX_OK);
}

void monitor_fixture_settle(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

void monitor_fixture_guest_ost(MonitorFixture *f, unsigned slot, uint32_t event, uint32_t status)
{
    guest_out(f, PC_PORT_MEMORY_HOTPLUG, slot);
    guest_out(f, PC_PORT_MEMORY_HOTPLUG + 0x04, event);
    guest_out(f, PC_PORT_MEMORY_HOTPLUG + 0x08, status);
    monitor_fixture_settle();
}

void monitor_fixture_guest_eject(MonitorFixture *f, unsigned slot)
{
    guest_out(f, PC_PORT_MEMORY_HOTPLUG, slot);
    guest_out(f, PC_PORT_MEMORY_HOTPLUG + 0x14, 1u << 3);
    monitor_fixture_settle();
}

char *monitor_fixture_map(MonitorFixture *f)
{
    GString *out = g_string_new(NULL);

    memory_dump_flatviews(machine_memory_system(f->machine), out);
    return g_string_free(out, FALSE);
}

void assert_text_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("'%s' is not in:\n%s", part, text);
    }
}
