/* SPDX-License-Identifier: MIT */
/* Where each GSI leads: the table that KVM is given, line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "support/model-kvm.h"

static const KvmConfig config = { .device = MODEL_KVM_DEVICE,
                                  .identity_map_base = 0xfeffc000,
                                  .tss_base = 0xfeffd000,
                                  .irqchip = true };

/* The pin of @chip that @gsi leads to; -1: none. Asserts that there is one at most. */
static int pin_of(const struct kvm_irq_routing_entry *e, unsigned n, unsigned gsi, unsigned chip)
{
    int pin = -1;

    for (unsigned i = 0; i < n; i++) {
        if (e[i].gsi == gsi && e[i].u.irqchip.irqchip == chip) {
            assert_int_equal(e[i].type, KVM_IRQ_ROUTING_IRQCHIP);
            assert_int_equal(pin, -1);
            pin = (int)e[i].u.irqchip.pin;
        }
    }
    return pin;
}

static void assert_route(unsigned gsi, int first_pic, int second_pic, int ioapic)
{
    struct kvm_irq_routing_entry e[KVM_ROUTING_DEFAULT_MAX];
    unsigned n = kvm_irq_routing_default(e);

    assert_int_equal(pin_of(e, n, gsi, KVM_IRQCHIP_PIC_MASTER), first_pic);
    assert_int_equal(pin_of(e, n, gsi, KVM_IRQCHIP_PIC_SLAVE), second_pic);
    assert_int_equal(pin_of(e, n, gsi, KVM_IRQCHIP_IOAPIC), ioapic);
}

/* The PIT: PIC pin 0, and the IOAPIC's pin 2, as the MADT's override says. */
static void test_routing_gsi_0(void **state)
{
    assert_route(0, 0, -1, 2);
}

/* The cascade: nobody's. */
static void test_routing_gsi_2_leads_nowhere(void **state)
{
    assert_route(2, -1, -1, -1);
}

static void test_routing_the_rest_is_one_to_one(void **state)
{
    for (int gsi = 1; gsi < 24; gsi++) {
        if (gsi == 1 || (gsi > 2 && gsi < 8)) {
            assert_route((unsigned)gsi, gsi, -1, gsi);
        } else if (gsi >= 8 && gsi < 16) {
            assert_route((unsigned)gsi, -1, gsi - 8, gsi);
        } else if (gsi >= 16) {
            assert_route((unsigned)gsi, -1, -1, gsi);
        }
    }
    assert_route(24, -1, -1, -1);
}

static void test_routing_fits(void **state)
{
    struct kvm_irq_routing_entry e[KVM_ROUTING_DEFAULT_MAX];

    /* 23 GSIs on the IOAPIC, 15 of them on a PIC too. */
    assert_int_equal(kvm_irq_routing_default(e), 23 + 15);
}

static void test_routing_is_given_to_kvm(void **state)
{
    g_autoptr(GError) error = NULL;
    struct kvm_irq_routing_entry e[KVM_ROUTING_DEFAULT_MAX];
    unsigned n = kvm_irq_routing_default(e);
    const GArray *routes;
    Kvm *kvm;

    model_kvm_reset();
    kvm = kvm_new(&config, &error);
    assert_non_null(kvm);
    routes = model_vm_routes(model_kvm_vm(kvm));
    assert_int_equal(routes->len, n);
    assert_memory_equal(routes->data, e, n * sizeof(e[0]));
    kvm_free(kvm);
    model_kvm_reset();
}

static void test_kvm_set_gsi_drives_the_line(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *kvm;

    model_kvm_reset();
    kvm = kvm_new(&config, &error);
    assert_non_null(kvm);
    kvm_set_gsi(kvm, 9, true);
    assert_int_equal(model_vm_gsi_level(model_kvm_vm(kvm), 9), 1);
    kvm_set_gsi(kvm, 9, false);
    assert_int_equal(model_vm_gsi_level(model_kvm_vm(kvm), 9), 0);
    kvm_free(kvm);
    model_kvm_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routing_gsi_0),
        cmocka_unit_test(test_routing_gsi_2_leads_nowhere),
        cmocka_unit_test(test_routing_the_rest_is_one_to_one),
        cmocka_unit_test(test_routing_fits),
        cmocka_unit_test(test_routing_is_given_to_kvm),
        cmocka_unit_test(test_kvm_set_gsi_drives_the_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
