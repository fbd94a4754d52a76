/* SPDX-License-Identifier: MIT */
/* Tests of hw/core/device.c: the life of a device and the table of classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support/device-rig.h"
#include "tessera/hw/char/serial.h"
#include "tessera/util/error.h"

/* A device that writes down what happens to it. */
typedef struct Toy {
    Device dev;
    GString *log;
    bool refuse;
} Toy;

static MemTxResult toy_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                            MemTxAttrs attrs)
{
    *ret_value = 0x5a;
    return MEMTX_OK;
}

static MemTxResult toy_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                             MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static const MemoryRegionOps toy_ops = { .read = toy_read, .write = toy_write };

static bool toy_realize(Device *dev, GError **error)
{
    Toy *toy = (Toy *)dev;

    if (toy->refuse) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "it is broken");
        return false;
    }
    g_string_append(toy->log, "realize ");
    assert_int_equal(device_add_region(dev, memory_region_new_io(dev->ms, &dev->obj, &toy_ops, dev,
                                                                 "toy0", 4)), 0);
    assert_int_equal(device_add_region(dev, memory_region_new_io(dev->ms, &dev->obj, &toy_ops, dev,
                                                                 "toy1", 8)), 1);
    return true;
}

static void toy_unrealize(Device *dev)
{
    g_string_append(((Toy *)dev)->log, "unrealize ");
}

static void toy_reset(Device *dev)
{
    g_string_append(((Toy *)dev)->log, "reset ");
}

static void toy_finalize(Device *dev)
{
    g_string_append(((Toy *)dev)->log, "finalize ");
}

static const DeviceClass toy_class = {
    .name = "toy",
    .description = "for this test",
    .instance_size = sizeof(Toy),
    .realize = toy_realize,
    .unrealize = toy_unrealize,
    .reset = toy_reset,
    .finalize = toy_finalize,
};
DEVICE_REGISTER(toy_class);

static void test_device_lives_in_order(void **state)
{
    DeviceRig rig;
    GString *log = g_string_new(NULL);
    Device *dev;
    const int ports[] = { 0x100, 0x200 };

    rig_init(&rig);
    dev = rig_new(&rig, &toy_class);
    ((Toy *)dev)->log = log;
    rig_start(&rig, dev, ports, 2);
    assert_int_equal(rig_inb(&rig, 0x100), 0x5a);
    assert_int_equal(rig_inb(&rig, 0x104), 0xff);
    assert_int_equal(rig_inb(&rig, 0x207), 0x5a);
    assert_string_equal(memory_region_name(device_region(dev, 1)), "toy1");
    rig_done(&rig);
    assert_string_equal(log->str, "realize reset unrealize finalize ");
    g_string_free(log, TRUE);
}

static void test_device_realize_that_fails_names_the_device(void **state)
{
    DeviceRig rig;
    GString *log = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    Device *dev;

    rig_init(&rig);
    dev = device_new(&toy_class, &rig.context, "toy0");
    ((Toy *)dev)->log = log;
    ((Toy *)dev)->refuse = true;
    assert_false(device_realize(dev, &error));
    assert_string_equal(error->message, "toy0: it is broken");
    assert_false(dev->realized);
    device_unrealize(dev); /* nothing to undo */
    device_unref(dev);
    assert_string_equal(log->str, "finalize ");
    rig_done(&rig);
    g_string_free(log, TRUE);
}

static void test_device_survives_its_last_user_reference(void **state)
{
    DeviceRig rig;
    GString *log = g_string_new(NULL);
    Device *dev;

    rig_init(&rig);
    dev = device_new(&toy_class, &rig.context, NULL);
    ((Toy *)dev)->log = log;
    assert_true(device_realize(dev, NULL));
    device_ref(dev);
    device_unrealize(dev);
    device_unref(dev);
    assert_null(strstr(log->str, "finalize"));
    device_unref(dev);
    assert_non_null(strstr(log->str, "finalize"));
    device_unref(NULL);
    rig_done(&rig);
    g_string_free(log, TRUE);
}

static void test_device_class_find_by_name(void **state)
{
    g_autoptr(GError) error = NULL;

    assert_ptr_equal(device_class_find("toy", &error), &toy_class);
    assert_ptr_equal(device_class_find("isa-serial", &error), &serial_device_class);
    assert_null(error);
}

static void test_device_class_find_names_the_nearest(void **state)
{
    g_autoptr(GError) error = NULL;

    assert_null(device_class_find("isa-serail", &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND));
    assert_non_null(strstr(error->message, "isa-serail"));
    assert_non_null(strstr(error->message, "'isa-serial'"));
}

static void check_order(const DeviceClass *cls, void *opaque)
{
    const char **last = opaque;

    assert_true(*last == NULL || strcmp(*last, cls->name) < 0);
    assert_non_null(cls->description);
    *last = cls->name;
}

static void test_device_class_for_each_is_sorted(void **state)
{
    const char *last = NULL;

    device_class_for_each(check_order, &last);
    assert_non_null(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_lives_in_order),
        cmocka_unit_test(test_device_realize_that_fails_names_the_device),
        cmocka_unit_test(test_device_survives_its_last_user_reference),
        cmocka_unit_test(test_device_class_find_by_name),
        cmocka_unit_test(test_device_class_find_names_the_nearest),
        cmocka_unit_test(test_device_class_for_each_is_sorted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
