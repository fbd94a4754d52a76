/* SPDX-License-Identifier: MIT */
/* Makes small kernels and guest RAM for the tests of the loader. */
#include "boot-images.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tessera/hw/i386/pc-map.h"

uint8_t image_pattern(uint64_t offset)
{
    return (uint8_t)(offset * 7 + (offset >> 8) + 1);
}

void image_put(GByteArray *image, size_t offset, uint64_t value, unsigned size)
{
    g_assert_cmpuint(offset + size, <=, image->len);
    for (unsigned i = 0; i < size; i++) {
        image->data[offset + i] = value >> (8 * i);
    }
}

uint64_t image_get(const uint8_t *bytes, size_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)bytes[offset + i] << (8 * i);
    }
    return value;
}

static GByteArray *zeroed(guint size)
{
    GByteArray *image = g_byte_array_new();

    g_byte_array_set_size(image, size);
    memset(image->data, 0, size);
    return image;
}

static void fill(GByteArray *image, size_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        image->data[offset + i] = image_pattern(i);
    }
}

GByteArray *bzimage_make(void)
{
    GByteArray *image = zeroed(BZ_CODE_OFFSET + BZ_CODE_SIZE);

    /* Around the header, where a loader must not copy from. */
    memset(image->data, 0xee, 0x1f1);
    memset(image->data + 0x26c, 0xee, BZ_CODE_OFFSET - 0x26c);
    image_put(image, BZ_SETUP_SECTS, 4, 1);
    image_put(image, BZ_SYSSIZE, BZ_CODE_SIZE / 16, 4);
    image_put(image, BZ_BOOT_FLAG, 0xaa55, 2);
    image_put(image, BZ_JUMP_SIZE - 1, 0xeb, 1);
    image_put(image, BZ_JUMP_SIZE, 0x6a, 1);
    memcpy(image->data + BZ_MAGIC, "HdrS", 4);
    image_put(image, BZ_VERSION, 0x020f, 2);
    image_put(image, BZ_LOADFLAGS, 0x81, 1); /* loaded high, a heap that nobody gives */
    image_put(image, BZ_INITRD_ADDR_MAX, 0x7fffffff, 4);
    image_put(image, BZ_ALIGNMENT, 0x200000, 4);
    image_put(image, BZ_RELOCATABLE, 1, 1);
    image_put(image, BZ_XLOADFLAGS, 0x03, 2);
    image_put(image, BZ_CMDLINE_SIZE, 2047, 4);
    image_put(image, BZ_PAYLOAD_OFFSET, 0x300, 4);
    image_put(image, BZ_PAYLOAD_LENGTH, 0x800, 4);
    image_put(image, BZ_PREF_ADDRESS, BZ_LOAD, 8);
    image_put(image, BZ_INIT_SIZE_FIELD, BZ_INIT_SIZE, 4);
    fill(image, BZ_CODE_OFFSET, BZ_CODE_SIZE);
    return image;
}

static void put_phdr(GByteArray *image, unsigned index, const Elf64_Phdr *phdr)
{
    memcpy(image->data + ELF_PHDR(index), phdr, sizeof(*phdr));
}

GByteArray *elf_make(void)
{
    GByteArray *image = zeroed(ELF_DATA_OFFSET + ELF_DATA_SIZE);
    Elf64_Ehdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = ELF_PHDR(0),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3,
    };

    memcpy(image->data, &header, sizeof(header));
    put_phdr(image, 0,
             &(Elf64_Phdr){.p_type = PT_LOAD,
                           .p_offset = ELF_CODE_OFFSET,
                           .p_paddr = ELF_CODE_PADDR,
                           .p_filesz = ELF_CODE_SIZE,
                           .p_memsz = ELF_CODE_SIZE});
    put_phdr(image, 1,
             &(Elf64_Phdr){.p_type = PT_LOAD,
                           .p_offset = ELF_DATA_OFFSET,
                           .p_paddr = ELF_DATA_PADDR,
                           .p_filesz = ELF_DATA_SIZE,
                           .p_memsz = ELF_DATA_MEMSIZE});
    put_phdr(image, 2,
             &(Elf64_Phdr){.p_type = PT_NOTE,
                           .p_offset = ELF_NOTE_OFFSET,
                           .p_filesz = 24,
                           .p_memsz = 24,
                           .p_align = 4});
    image_put(image, NOTE_NAMESZ, 4, 4);
    image_put(image, NOTE_DESCSZ, 8, 4);
    image_put(image, NOTE_TYPE, 18, 4);
    memcpy(image->data + NOTE_NAME_AT, "Xen", 4);
    image_put(image, NOTE_DESC, ELF_ENTRY, 8);
    fill(image, ELF_CODE_OFFSET, ELF_CODE_SIZE);
    fill(image, ELF_DATA_OFFSET, ELF_DATA_SIZE);
    return image;
}

static void write_all(int fd, const GByteArray *image)
{
    gsize done = 0;

    while (done < image->len) {
        ssize_t n = write(fd, image->data + done, image->len - done);

        g_assert_cmpint(n, >, 0);
        done += n;
    }
}

int image_memfd(const GByteArray *image)
{
    int fd = memfd_create("image", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    write_all(fd, image);
    return fd;
}

char *image_temp_file(const GByteArray *image, uint64_t size)
{
    char *path = NULL;
    int fd = g_file_open_tmp("tessera-image-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    if (image) {
        write_all(fd, image);
    } else {
        g_assert_cmpint(ftruncate(fd, size), ==, 0);
    }
    close(fd);
    return path;
}

void image_temp_file_remove(char *path)
{
    unlink(path);
    g_free(path);
}

LinuxImage *image_open_take(GByteArray *image, GError **error)
{
    int fd = image_memfd(image);

    g_byte_array_unref(image);
    return linux_image_open_fd(fd, "test-kernel", error);
}

static uint8_t *map_ram(uint64_t size)
{
    void *ram = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    g_assert(ram != MAP_FAILED);
    return ram;
}

FakeRam *fake_ram_new(const PcInfo *pc)
{
    FakeRam *ram = g_new0(FakeRam, 1);

    ram->low_size = pc->ram_below_4g;
    ram->low = map_ram(ram->low_size);
    ram->high_size = pc->ram_above_4g;
    ram->high = ram->high_size ? map_ram(ram->high_size) : NULL;
    return ram;
}

void fake_ram_free(FakeRam *ram)
{
    munmap(ram->low, ram->low_size);
    if (ram->high) {
        munmap(ram->high, ram->high_size);
    }
    g_free(ram);
}

uint8_t *fake_ram_at(FakeRam *ram, uint64_t gpa, uint64_t length)
{
    if (gpa >= PC_ABOVE_4G_BASE) {
        uint64_t offset = gpa - PC_ABOVE_4G_BASE;

        return offset < ram->high_size && length <= ram->high_size - offset ? ram->high + offset
                                                                            : NULL;
    }
    if (gpa < PC_HIGH_RAM_BASE && gpa + length > PC_VGA_HOLE_BASE) {
        return NULL;
    }
    return gpa < ram->low_size && length <= ram->low_size - gpa ? ram->low + gpa : NULL;
}

static void *fake_ram_host(void *opaque, uint64_t gpa, uint64_t length)
{
    FakeRam *ram = opaque;

    ram->calls++;
    return ram->calls == ram->fail_call ? NULL : fake_ram_at(ram, gpa, length);
}

const GuestMemoryOps fake_ram_ops = {.host = fake_ram_host};
