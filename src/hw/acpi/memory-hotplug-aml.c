/* SPDX-License-Identifier: MIT */
/* AML of the memory sockets: what a guest's ACPI interpreter does with the registers. */
#include "tessera/hw/acpi/memory-hotplug.h"

/*
 *     Scope (\_SB) {
 *         Device (MHPC) {                 the controller: PNP0A06
 *             MLCK                        select, then read or write: one at a time
 *             MSCN ()                     who has something pending? Notify, and clear it
 *             MNFY (slot, code)           Notify by number
 *             MSTA MCRS MPXM (slot), MOST (slot, event, status), MEJ (slot)
 *             Device (M000) { ... }       PNP0C80, for each socket
 *         }
 *     }
 *     Scope (\_GPE) { Method (_E03) { \_SB.MHPC.MSCN () } }
 *
 * The ports themselves are among the board's reserved ones (PNP0C02); the controller needs no _CRS.
 */

#define SLOT_NAME_SIZE 5

static const char *slot_name(char name[SLOT_NAME_SIZE], unsigned slot)
{
    g_snprintf(name, SLOT_NAME_SIZE, "M%03X", slot);
    return name;
}

/* The same bytes mean one thing when read and another when written: two fields. */
static void add_registers(Aml *controller, uint16_t port)
{
    Aml *reads = aml_field("MREG", AML_DWORD_ACCESS, AML_NO_LOCK, AML_PRESERVE);
    Aml *writes = aml_field("MREG", AML_DWORD_ACCESS, AML_NO_LOCK, AML_PRESERVE);
    Aml *status = aml_field("MREG", AML_BYTE_ACCESS, AML_NO_LOCK, AML_PRESERVE);

    aml_append(reads, aml_field_unit("MBSL", 32), aml_field_unit("MBSH", 32),
               aml_field_unit("MSZL", 32), aml_field_unit("MSZH", 32),
               aml_field_unit("MDOM", 32));
    aml_append(writes, aml_field_unit("MSEL", 32), aml_field_unit("MOEV", 32),
               aml_field_unit("MOSC", 32));
    aml_append(status, aml_field_gap(8 * MEMORY_HOTPLUG_STATUS), aml_field_unit("MSTB", 8));
    aml_append(controller,
               aml_operation_region("MREG", AML_SYSTEM_IO, aml_int(port),
                                    aml_int(MEMORY_HOTPLUG_REGION_SIZE)),
               reads, writes, status, aml_mutex("MLCK", 0));
}

/* Every method starts with this: nobody else's selection from here on. */
static void append_select(Aml *method)
{
    aml_append(method, aml_acquire(aml_path("MLCK"), AML_WAIT_FOREVER),
               aml_store(aml_arg(0), aml_path("MSEL")));
}

static Aml *release(void)
{
    return aml_release(aml_path("MLCK"));
}

static Aml *status_method(void)
{
    Aml *method = aml_method("MSTA", 1, AML_SERIALIZED);
    Aml *enabled = aml_if(aml_and(aml_path("MSTB"), aml_int(MEMORY_HOTPLUG_ENABLED), NULL));

    aml_append(method, aml_store(aml_int(0), aml_local(0)));
    append_select(method);
    aml_append(enabled, aml_store(aml_int(0x0f), aml_local(0)));
    aml_append(method, enabled, release(), aml_return(aml_local(0)));
    return method;
}

/* Where the socket's memory lies: a template with the three numbers put in. */
static Aml *resources_method(void)
{
    Aml *method = aml_method("MCRS", 1, AML_SERIALIZED);
    Aml *template = aml_resource_template();

    append_select(method);
    aml_append(template, aml_qword_memory(AML_CONSUMER, AML_CACHEABLE, AML_READ_WRITE, 0, 1));
    aml_append(
        method, aml_name("MTMP", template),
        aml_create_field(8, aml_path("MTMP"), aml_int(AML_QWORD_MEMORY_MIN), "MMIN"),
        aml_create_field(8, aml_path("MTMP"), aml_int(AML_QWORD_MEMORY_MAX), "MMAX"),
        aml_create_field(8, aml_path("MTMP"), aml_int(AML_QWORD_MEMORY_LENGTH), "MLEN"),
        aml_or(aml_shift_left(aml_path("MBSH"), aml_int(32), NULL), aml_path("MBSL"),
               aml_path("MMIN")),
        aml_or(aml_shift_left(aml_path("MSZH"), aml_int(32), NULL), aml_path("MSZL"),
               aml_path("MLEN")),
        aml_subtract(aml_add(aml_path("MMIN"), aml_path("MLEN"), NULL), aml_int(1),
                     aml_path("MMAX")),
        release(), aml_return(aml_path("MTMP")));
    return method;
}

static Aml *domain_method(void)
{
    Aml *method = aml_method("MPXM", 1, AML_SERIALIZED);

    append_select(method);
    aml_append(method, aml_store(aml_path("MDOM"), aml_local(0)), release(),
               aml_return(aml_local(0)));
    return method;
}

static Aml *ost_method(void)
{
    Aml *method = aml_method("MOST", 3, AML_SERIALIZED);

    append_select(method);
    aml_append(method, aml_store(aml_arg(1), aml_path("MOEV")),
               aml_store(aml_arg(2), aml_path("MOSC")), release());
    return method;
}

static Aml *eject_method(void)
{
    Aml *method = aml_method("MEJ", 1, AML_SERIALIZED);

    append_select(method);
    aml_append(method, aml_store(aml_int(MEMORY_HOTPLUG_EJECT), aml_path("MSTB")), release());
    return method;
}

/* Notify takes a name, not a number: halve the sockets until one is left. */
static void append_notify(Aml *parent, unsigned first, unsigned end)
{
    char name[SLOT_NAME_SIZE];
    unsigned middle = first + (end - first) / 2;
    Aml *low;
    Aml *high;

    if (end - first == 1) {
        aml_append(parent, aml_notify(aml_path(slot_name(name, first)), aml_arg(1)));
        return;
    }
    low = aml_if(aml_less(aml_arg(0), aml_int(middle)));
    high = aml_else();
    append_notify(low, first, middle);
    append_notify(high, middle, end);
    aml_append(parent, low, high);
}

static Aml *notify_method(unsigned slots)
{
    Aml *method = aml_method("MNFY", 2, AML_NOT_SERIALIZED);

    append_notify(method, 0, slots);
    return method;
}

/* If the socket has @bit pending: Notify(device, @code), and tell the registers that it was seen. */
static Aml *notify_if(uint8_t bit, unsigned code)
{
    Aml *pending = aml_if(aml_and(aml_local(1), aml_int(bit), NULL));

    aml_append(pending, aml_call("MNFY", aml_local(0), aml_int(code)),
               aml_store(aml_int(bit), aml_path("MSTB")));
    return pending;
}

static Aml *scan_method(unsigned slots)
{
    enum { DEVICE_CHECK = 1, EJECT_REQUEST = 3 }; /* ACPI 6.4, table 5.186 */
    Aml *method = aml_method("MSCN", 0, AML_SERIALIZED);
    Aml *loop = aml_while(aml_less(aml_local(0), aml_int(slots)));

    aml_append(loop, aml_store(aml_local(0), aml_path("MSEL")),
               aml_store(aml_path("MSTB"), aml_local(1)),
               notify_if(MEMORY_HOTPLUG_INSERT, DEVICE_CHECK),
               notify_if(MEMORY_HOTPLUG_REMOVE, EJECT_REQUEST), aml_increment(aml_local(0)));
    aml_append(method, aml_acquire(aml_path("MLCK"), AML_WAIT_FOREVER),
               aml_store(aml_int(0), aml_local(0)), loop, release());
    return method;
}

static Aml *socket_query(const char *name, const char *method, unsigned slot)
{
    Aml *query = aml_method(name, 0, AML_NOT_SERIALIZED);

    aml_append(query, aml_return(aml_call(method, aml_int(slot))));
    return query;
}

static Aml *socket(unsigned slot)
{
    char name[SLOT_NAME_SIZE];
    Aml *device = aml_device(slot_name(name, slot));
    Aml *ost = aml_method("_OST", 3, AML_NOT_SERIALIZED);
    Aml *eject = aml_method("_EJ0", 1, AML_NOT_SERIALIZED);

    aml_append(ost, aml_call("MOST", aml_int(slot), aml_arg(0), aml_arg(1)));
    aml_append(eject, aml_call("MEJ", aml_int(slot)));
    aml_append(device, aml_name("_HID", aml_eisa_id("PNP0C80")), aml_name("_UID", aml_int(slot)),
               socket_query("_STA", "MSTA", slot), socket_query("_CRS", "MCRS", slot),
               socket_query("_PXM", "MPXM", slot), ost, eject);
    return device;
}

void memory_hotplug_build_aml(Aml *body, uint16_t port, unsigned slots)
{
    Aml *bus = aml_scope("\\_SB");
    Aml *controller = aml_device("MHPC");
    Aml *events = aml_scope("\\_GPE");
    Aml *event = aml_method("_E03", 0, AML_NOT_SERIALIZED);

    g_assert(slots > 0 && slots <= MEMORY_HOTPLUG_SLOTS_MAX);
    G_STATIC_ASSERT(MEMORY_HOTPLUG_GPE == 3); /* _E03 */
    aml_append(controller, aml_name("_HID", aml_eisa_id("PNP0A06")),
               aml_name("_UID", aml_string("Memory sockets")));
    add_registers(controller, port);
    aml_append(controller, status_method(), resources_method(), domain_method(), ost_method(),
               eject_method(), notify_method(slots), scan_method(slots));
    for (unsigned slot = 0; slot < slots; slot++) {
        aml_append(controller, socket(slot));
    }
    aml_append(bus, controller);
    aml_append(event, aml_call("\\_SB.MHPC.MSCN"));
    aml_append(events, event);
    aml_append(body, bus, events);
}
