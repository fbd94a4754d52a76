/* SPDX-License-Identifier: MIT */
/* Interrupting the guest for new DIMMs: right behind the answer to who plugged them. */
#include "memory-devices-internal.h"

/*
 * A guest that is interrupted begins at once to walk its sockets, hundreds of exits long. On a busy
 * host, or one with a single processor, its thread would then run before the main thread has come to
 * answer the client: 5 to 10 ms of a device_add were that. So the main loop's next turn, before
 * anything else, does it; and several DIMMs that were plugged in one turn are one interrupt.
 */
struct GuestTell {
    GSource parent;
    Device *registers;
    bool soon;
};

static GuestTell *from_source(GSource *source)
{
    return (GuestTell *)(void *)source;
}

static gboolean prepare(GSource *source, gint *timeout)
{
    *timeout = -1;
    return from_source(source)->soon;
}

static gboolean check(GSource *source)
{
    return from_source(source)->soon;
}

static gboolean dispatch(GSource *source, GSourceFunc unused, gpointer unused_opaque)
{
    GuestTell *tell = from_source(source);

    tell->soon = false;
    memory_hotplug_tell(tell->registers);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs funcs = { .prepare = prepare, .check = check, .dispatch = dispatch };

void guest_tell_init(MemoryDevices *md)
{
    GSource *source = g_source_new(&funcs, sizeof(GuestTell));

    md->tell = from_source(source);
    md->tell->registers = md->config.registers;
    g_source_set_priority(source, G_PRIORITY_HIGH);
    g_source_attach(source, md->config.context);
}

void guest_tell_done(MemoryDevices *md)
{
    if (md->tell) {
        g_source_destroy(&md->tell->parent);
        g_source_unref(&md->tell->parent);
    }
}

void guest_tell_soon(MemoryDevices *md)
{
    md->tell->soon = true; /* nothing to wake: the loop's thread is this one */
}

void guest_tell_not(MemoryDevices *md)
{
    md->tell->soon = false;
}
