/* SPDX-License-Identifier: MIT */
/* AML builder: resource descriptors (ACPI 6.4, section 6.4). */
#include "tessera/hw/acpi/aml.h"

#include "acpi-internal.h"

/* Address space descriptors (6.4.3.5): tag, resource type, flags. */
#define TAG_DWORD       0x87
#define TAG_WORD        0x88
#define TAG_QWORD       0x8a
#define TYPE_MEMORY     0
#define TYPE_IO         1
#define TYPE_BUS_NUMBER 2
#define FLAG_CONSUMER   (1 << 0)
#define FLAG_MIN_FIXED  (1 << 2)
#define FLAG_MAX_FIXED  (1 << 3)
#define IO_ENTIRE_RANGE 3

static Aml *new_descriptor(unsigned tag)
{
    return aml_new(AML_FORM_PLAIN, tag, AML_AS_RESOURCE, 0);
}

/* One of the three address space descriptors; every address field is @width bytes wide. */
static Aml *address_space(unsigned tag, unsigned width, unsigned type, AmlUse use,
                          unsigned specific, uint64_t first, uint64_t last)
{
    Aml *term = new_descriptor(tag);

    g_assert(first <= last);
    acpi_put(term->body, 3 + 5 * width, 2);
    acpi_put(term->body, type, 1);
    acpi_put(term->body,
             FLAG_MIN_FIXED | FLAG_MAX_FIXED | (use == AML_CONSUMER ? FLAG_CONSUMER : 0), 1);
    acpi_put(term->body, specific, 1);
    acpi_put(term->body, 0, width); /* granularity: none, as both ends are fixed */
    acpi_put(term->body, first, width);
    acpi_put(term->body, last, width);
    acpi_put(term->body, 0, width); /* translation */
    acpi_put(term->body, last - first + 1, width);
    return term;
}

Aml *aml_io(uint16_t base, unsigned length)
{
    Aml *term = new_descriptor(0x47);

    g_assert(length >= 1 && length <= 255 && base + length <= 0x10000);
    acpi_put(term->body, 1, 1); /* all 16 address lines are decoded */
    acpi_put(term->body, base, 2);
    acpi_put(term->body, base, 2);
    acpi_put(term->body, 1, 1); /* alignment of a fixed base */
    acpi_put(term->body, length, 1);
    return term;
}

Aml *aml_irq_no_flags(unsigned irq)
{
    Aml *term = new_descriptor(0x22);

    g_assert(irq <= 15);
    acpi_put(term->body, 1U << irq, 2);
    return term;
}

Aml *aml_irq(unsigned irq, AmlTrigger trigger, AmlPolarity polarity, AmlSharing sharing)
{
    Aml *term = new_descriptor(0x23);

    g_assert(irq <= 15);
    acpi_put(term->body, 1U << irq, 2);
    acpi_put(term->body, (unsigned)trigger | (unsigned)polarity << 3 | (unsigned)sharing << 4, 1);
    return term;
}

Aml *aml_interrupt(AmlUse use, AmlTrigger trigger, AmlPolarity polarity, AmlSharing sharing,
                   uint32_t gsi)
{
    Aml *term = new_descriptor(0x89);

    acpi_put(term->body, 6, 2);
    acpi_put(term->body,
             (unsigned)use | (unsigned)trigger << 1 | (unsigned)polarity << 2 |
                 (unsigned)sharing << 3,
             1);
    acpi_put(term->body, 1, 1);
    acpi_put(term->body, gsi, 4);
    return term;
}

Aml *aml_memory32_fixed(AmlWrite write, uint32_t base, uint32_t length)
{
    Aml *term = new_descriptor(0x86);

    g_assert(length > 0 && (uint64_t)base + length <= 1ULL << 32);
    acpi_put(term->body, 9, 2);
    acpi_put(term->body, write, 1);
    acpi_put(term->body, base, 4);
    acpi_put(term->body, length, 4);
    return term;
}

Aml *aml_word_bus_number(uint16_t first, uint16_t last)
{
    return address_space(TAG_WORD, 2, TYPE_BUS_NUMBER, AML_PRODUCER, 0, first, last);
}

Aml *aml_word_io(AmlUse use, uint16_t first, uint16_t last)
{
    /* The whole port space is 0x10000 long, which a 16-bit length cannot say. */
    g_assert(last - first < 0xffff);
    return address_space(TAG_WORD, 2, TYPE_IO, use, IO_ENTIRE_RANGE, first, last);
}

static unsigned memory_flags(AmlCaching caching, AmlWrite write)
{
    return (unsigned)write | (unsigned)caching << 1;
}

Aml *aml_dword_memory(AmlUse use, AmlCaching caching, AmlWrite write, uint32_t base,
                      uint32_t length)
{
    g_assert(length > 0 && (uint64_t)base + length <= 1ULL << 32);
    return address_space(TAG_DWORD, 4, TYPE_MEMORY, use, memory_flags(caching, write), base,
                         base + (length - 1));
}

Aml *aml_qword_memory(AmlUse use, AmlCaching caching, AmlWrite write, uint64_t base,
                      uint64_t length)
{
    g_assert(length > 0 && base <= UINT64_MAX - (length - 1));
    return address_space(TAG_QWORD, 8, TYPE_MEMORY, use, memory_flags(caching, write), base,
                         base + (length - 1));
}
