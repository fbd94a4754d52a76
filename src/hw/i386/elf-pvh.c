/* SPDX-License-Identifier: MIT */
/* Reads and checks an ELF executable that is entered as the PVH boot ABI says. */
#include <elf.h>
#include <inttypes.h>
#include <string.h>

#include "boot-internal.h"

#define PROGRAM_HEADERS_MAX 128
#define NOTES_SIZE_MAX      (1U << 20) /* one segment; a kernel's notes are a few hundred bytes */
#define NOTE_NAME           "Xen"
#define NOTE_PHYS32_ENTRY   18 /* Xen public/elfnote.h */

#define refuse(file, error, ...) boot_file_refuse(file, "ELF", error, __VA_ARGS__)

bool elf_pvh_probe(const uint8_t *start, size_t length)
{
    return length >= SELFMAG && !memcmp(start, ELFMAG, SELFMAG);
}

static bool read_header(const BootFile *file, Elf64_Ehdr *ret_header, GError **error)
{
    Elf64_Ehdr header;

    if (file->size < sizeof(header)) {
        return refuse(file, error, "it is truncated: %" PRIu64 " bytes, the header alone has %zu",
                      file->size, sizeof(header));
    }
    if (!boot_file_read(file, 0, &header, sizeof(header), error)) {
        return false;
    }
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != EM_X86_64) {
        return refuse(file, error,
                      "class %u, data %u, machine %u: only 64-bit little-endian files for x86-64 "
                      "(2, 1, 62) can be started",
                      header.e_ident[EI_CLASS], header.e_ident[EI_DATA], header.e_machine);
    }
    if (header.e_type != ET_EXEC) {
        return refuse(file, error, "type %u: it must be an executable at fixed addresses (type 2)",
                      header.e_type);
    }
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
        header.e_phnum > PROGRAM_HEADERS_MAX) {
        return refuse(file, error,
                      "%u program headers of %u bytes: 1 to %d of %zu bytes can be read",
                      header.e_phnum, header.e_phentsize, PROGRAM_HEADERS_MAX, sizeof(Elf64_Phdr));
    }

    uint64_t table_size = (uint64_t)header.e_phnum * sizeof(Elf64_Phdr);

    if (header.e_phoff > file->size || table_size > file->size - header.e_phoff) {
        return refuse(file, error,
                      "it is truncated: its program headers, %" PRIu64 " bytes at %#" PRIx64
                      ", do not lie inside its %" PRIu64 " bytes",
                      table_size, (uint64_t)header.e_phoff, file->size);
    }
    *ret_header = header;
    return true;
}

static bool check_in_file(const BootFile *file, unsigned index, const Elf64_Phdr *phdr,
                          GError **error)
{
    if (phdr->p_offset > file->size || phdr->p_filesz > file->size - phdr->p_offset) {
        return refuse(file, error,
                      "it is truncated: segment %u, %" PRIu64 " bytes at offset %#" PRIx64
                      ", does not lie inside its %" PRIu64 " bytes",
                      index, (uint64_t)phdr->p_filesz, (uint64_t)phdr->p_offset, file->size);
    }
    return true;
}

static bool add_segment(const BootFile *file, unsigned index, const Elf64_Phdr *phdr, ElfPvh *elf,
                        GError **error)
{
    if (phdr->p_memsz == 0) {
        return true;
    }
    if (phdr->p_filesz > phdr->p_memsz || phdr->p_memsz > UINT64_MAX - phdr->p_paddr) {
        return refuse(file, error,
                      "segment %u at %#" PRIx64 " has %" PRIu64 " bytes in the file and %" PRIu64
                      " in memory",
                      index, (uint64_t)phdr->p_paddr, (uint64_t)phdr->p_filesz,
                      (uint64_t)phdr->p_memsz);
    }
    if (elf->segment_count == ELF_PVH_SEGMENTS_MAX) {
        return refuse(file, error, "it has more than %d segments to load", ELF_PVH_SEGMENTS_MAX);
    }
    elf->segments[elf->segment_count++] = (ElfPvhSegment){
        .offset = phdr->p_offset,
        .paddr = phdr->p_paddr,
        .filesz = phdr->p_filesz,
        .memsz = phdr->p_memsz,
    };
    elf->end = MAX(elf->end, phdr->p_paddr + phdr->p_memsz);
    return true;
}

/* One entry out of the notes, or nothing when the sizes in it do not add up. */
static bool note_entry(const uint8_t *notes, uint64_t size, uint64_t align, uint64_t *ret_entry)
{
    uint64_t at = 0;

    while (size - at >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;

        memcpy(&note, notes + at, sizeof(note));
        at += sizeof(note);

        /* The descriptor starts at a multiple of @align; with 4 that is the name padded. */
        uint64_t desc = (at + note.n_namesz + align - 1) & ~(align - 1);

        if (desc > size || note.n_descsz > size - desc) {
            return false;
        }
        if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof(NOTE_NAME) &&
            !memcmp(notes + at, NOTE_NAME, sizeof(NOTE_NAME)) &&
            (note.n_descsz == 4 || note.n_descsz == 8)) {
            uint64_t entry = 0;

            memcpy(&entry, notes + desc, note.n_descsz);
            *ret_entry = GUINT64_FROM_LE(entry);
            return true;
        }
        at = MIN((desc + note.n_descsz + align - 1) & ~(align - 1), size);
    }
    return false;
}

static bool find_entry(const BootFile *file, const Elf64_Phdr *phdr, uint64_t *ret_entry,
                       bool *ret_found, GError **error)
{
    if (phdr->p_filesz > NOTES_SIZE_MAX) {
        return refuse(file, error, "%" PRIu64 " bytes of notes; up to %u can be read",
                      (uint64_t)phdr->p_filesz, NOTES_SIZE_MAX);
    }

    g_autofree uint8_t *notes = g_malloc(phdr->p_filesz + 1);

    if (!boot_file_read(file, phdr->p_offset, notes, phdr->p_filesz, error)) {
        return false;
    }
    *ret_found = note_entry(notes, phdr->p_filesz, phdr->p_align == 8 ? 8 : 4, ret_entry);
    return true;
}

static bool check_entry(const BootFile *file, const ElfPvh *elf, uint64_t entry, GError **error)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        const ElfPvhSegment *segment = &elf->segments[i];

        if (entry <= UINT32_MAX && entry >= segment->paddr &&
            entry - segment->paddr < segment->filesz) {
            return true;
        }
    }
    return refuse(file, error,
                  "its PVH entry %#" PRIx64 " is not in the code of a segment below 4 GiB", entry);
}

bool elf_pvh_parse(const BootFile *file, ElfPvh *ret_elf, GError **error)
{
    Elf64_Ehdr header = {.e_phnum = 0};
    ElfPvh elf = {.segment_count = 0};
    uint64_t entry = 0;
    bool found = false;

    if (!read_header(file, &header, error)) {
        return false;
    }
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr phdr;

        if (!boot_file_read(file, header.e_phoff + i * sizeof(phdr), &phdr, sizeof(phdr), error)) {
            return false;
        }
        if (phdr.p_type != PT_LOAD && phdr.p_type != PT_NOTE) {
            continue;
        }
        if (!check_in_file(file, i, &phdr, error)) {
            return false;
        }
        if (phdr.p_type == PT_LOAD && !add_segment(file, i, &phdr, &elf, error)) {
            return false;
        }
        if (phdr.p_type == PT_NOTE && !found && !find_entry(file, &phdr, &entry, &found, error)) {
            return false;
        }
    }
    if (!found) {
        return refuse(file, error,
                      "it has no PVH note (type 18, name \"Xen\"); Linux has one when built with "
                      "CONFIG_PVH=y");
    }
    if (!check_entry(file, &elf, entry, error)) {
        return false;
    }
    elf.entry = entry;
    *ret_elf = elf;
    return true;
}
