/* SPDX-License-Identifier: MIT */
/* Reads and checks the header of a bzImage. */
#include <inttypes.h>
#include <string.h>

#include "boot-internal.h"
#include "tessera/hw/i386/pc-map.h"

#define SECTOR_SIZE      512
#define SETUP_SECTS_OLD  4 /* what a count of 0 stands for */
#define BOOT_FLAG        0xaa55
#define HEADER_MAGIC     0x53726448 /* "HdrS" */
#define OFFSET_BOOT_FLAG 0x1fe
#define OFFSET_JUMP_SIZE 0x201 /* operand of a short jump over the header */
#define OFFSET_MAGIC     0x202
#define PROTOCOL_MIN     0x0206
#define CMDLINE_MAX_OLD  255 /* before the header said so */

_Static_assert(offsetof(struct boot_params, hdr) == BZIMAGE_HEADER_OFFSET,
               "the header has one offset in the file and in boot_params");
_Static_assert(sizeof(struct setup_header) <= BZIMAGE_HEADER_LIMIT - BZIMAGE_HEADER_OFFSET,
               "the header ends before edd_mbr_sig_buffer");

/* Where the header ends at least, from which protocol on. */
static const struct {
    uint16_t version;
    uint16_t end;
} header_ends[] = {
    {0x020f, 0x26c}, /* kernel_info_offset */
    {0x020b, 0x268}, /* handover_offset */
    {0x020a, 0x264}, /* pref_address, init_size */
    {0x0209, 0x258}, /* setup_data */
    {0x0208, 0x250}, /* payload_offset, payload_length */
    {0x0207, 0x248}, /* hardware_subarch */
    {0x0206, 0x23c}, /* cmdline_size */
};

#define refuse(file, error, ...) boot_file_refuse(file, "bzImage", error, __VA_ARGS__)

static uint16_t get_le16(const uint8_t *at)
{
    return at[0] | at[1] << 8;
}

static uint32_t get_le32(const uint8_t *at)
{
    return get_le16(at) | (uint32_t)get_le16(at + 2) << 16;
}

bool bzimage_probe(const uint8_t *start, size_t length)
{
    return length >= OFFSET_MAGIC + 4 && get_le16(start + OFFSET_BOOT_FLAG) == BOOT_FLAG &&
           get_le32(start + OFFSET_MAGIC) == HEADER_MAGIC;
}

/* Reads the header as it is; fields behind its end, or behind its protocol's, become 0. */
static bool read_header(const BootFile *file, BzImage *bz, GError **error)
{
    uint8_t start[OFFSET_MAGIC + 6]; /* up to and with the protocol */

    if (file->size < sizeof(start)) {
        return refuse(file, error, "it is truncated: %" PRIu64 " bytes, the header alone needs %d",
                      file->size, 0x23c);
    }
    if (!boot_file_read(file, 0, start, sizeof(start), error)) {
        return false;
    }

    unsigned version = get_le16(start + OFFSET_MAGIC + 4);
    unsigned end = OFFSET_MAGIC + start[OFFSET_JUMP_SIZE];
    unsigned end_min = 0;

    if (version < PROTOCOL_MIN) {
        return refuse(file, error,
                      "its boot protocol is %u.%02u, 2.06 or newer (Linux 2.6.22) is needed",
                      version >> 8, version & 0xff);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(header_ends) && !end_min; i++) {
        if (version >= header_ends[i].version) {
            end_min = header_ends[i].end;
        }
    }
    if (end < end_min || end > BZIMAGE_HEADER_LIMIT) {
        return refuse(file, error,
                      "its header ends at %#x, but with protocol %u.%02u it ends between %#x and "
                      "%#x",
                      end, version >> 8, version & 0xff, end_min, BZIMAGE_HEADER_LIMIT);
    }
    if (file->size < end) {
        return refuse(file, error, "it is truncated: %" PRIu64 " bytes, its header ends at %u",
                      file->size, end);
    }
    bz->raw_length = end - BZIMAGE_HEADER_OFFSET;
    if (!boot_file_read(file, BZIMAGE_HEADER_OFFSET, bz->raw, bz->raw_length, error)) {
        return false;
    }
    memcpy(&bz->header, bz->raw, MIN(end_min - BZIMAGE_HEADER_OFFSET, sizeof(bz->header)));
    if (version < 0x020c) {
        bz->header.xloadflags = 0; /* a reserved word before protocol 2.12 */
    }
    return true;
}

static bool check_code(const BootFile *file, BzImage *bz, GError **error)
{
    const struct setup_header *header = &bz->header;
    uint64_t sectors = header->setup_sects ? header->setup_sects : SETUP_SECTS_OLD;

    bz->code_offset = (sectors + 1) * SECTOR_SIZE;
    bz->code_size = (uint64_t)header->syssize * 16;
    if (!(header->loadflags & LOADED_HIGH)) {
        return refuse(file, error, "it is a zImage, which loads below 1 MiB; build a bzImage");
    }
    if (bz->code_size == 0) {
        return refuse(file, error, "its header says that it has no code");
    }
    if (bz->code_offset + bz->code_size > file->size) {
        return refuse(file, error,
                      "it is truncated: %" PRIu64 " bytes of %" PRIu64 " (%" PRIu64
                      " of setup, %" PRIu64 " of code)",
                      file->size, bz->code_offset + bz->code_size, bz->code_offset, bz->code_size);
    }
    if ((uint64_t)header->payload_offset + header->payload_length > bz->code_size) {
        return refuse(file, error,
                      "its compressed kernel, %u bytes at %#x, does not lie inside its %" PRIu64
                      " bytes of code",
                      header->payload_length, header->payload_offset, bz->code_size);
    }
    bz->entry_64 = header->xloadflags & XLF_KERNEL_64;
    if (bz->entry_64 && bz->code_size <= BZIMAGE_ENTRY_64) {
        return refuse(file, error,
                      "it claims a 64-bit entry at byte %d of its code, which has %" PRIu64,
                      BZIMAGE_ENTRY_64, bz->code_size);
    }
    return true;
}

/* Where it goes, and how much must be free there: boot protocol, "init_size". */
static bool place(const BootFile *file, BzImage *bz, GError **error)
{
    const struct setup_header *header = &bz->header;
    bool has_address = header->version >= 0x020a;
    uint64_t align = header->kernel_alignment;
    uint64_t load = has_address ? header->pref_address : PC_HIGH_RAM_BASE;

    if (header->relocatable_kernel) {
        if (align == 0 || (align & (align - 1))) {
            return refuse(file, error, "its load alignment is %#" PRIx64 ", no power of two",
                          align);
        }
        /* A preferred address below 4 GiB plus 2 GiB of alignment cannot wrap. */
        if (load <= UINT32_MAX) {
            load = (load + align - 1) & ~(align - 1);
        }
    }
    if (load < PC_HIGH_RAM_BASE || load > UINT32_MAX) {
        return refuse(file, error,
                      "it wants to be loaded at %#" PRIx64 ", not between %#llx and %#x", load,
                      PC_HIGH_RAM_BASE, UINT32_MAX);
    }
    bz->load = load;
    /*
     * Before protocol 2.10 nobody says how much the unpacked kernel takes; four times the
     * compressed size is more than any of those kernels did.
     */
    bz->need = has_address ? MAX(header->init_size, bz->code_size) : 4 * bz->code_size;
    bz->cmdline_max = header->cmdline_size ? header->cmdline_size : CMDLINE_MAX_OLD;
    return true;
}

bool bzimage_parse(const BootFile *file, BzImage *ret_bz, GError **error)
{
    BzImage bz = {.load = 0};

    if (!read_header(file, &bz, error) || !check_code(file, &bz, error) ||
        !place(file, &bz, error)) {
        return false;
    }
    *ret_bz = bz;
    return true;
}
