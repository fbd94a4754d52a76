/* SPDX-License-Identifier: MIT */
/* Access sizes: what a guest's access to an I/O region becomes for the region's callbacks. */
#include "access-internal.h"

/* A field that was left 0 means the default: accesses of 1 to 4 bytes. */
static unsigned or_default(unsigned value, unsigned fallback)
{
    return value ? value : fallback;
}

static unsigned floor_power_of_2(uint64_t n)
{
    return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

/* The widest access that is aligned at @offset. */
static unsigned alignment_of(hwaddr offset)
{
    return offset & 7 ? (unsigned)(offset & -offset & 7) : 8;
}

/* The value whose @size bytes, in address order, are at @bytes. */
static uint64_t value_of_bytes(const uint8_t *bytes, unsigned size, enum DeviceEndian endian)
{
    uint64_t le = 0;

    switch (size) {
    case 1:
        return bytes[0];
    case 2:
        memcpy(&le, bytes, 2);
        break;
    case 4:
        memcpy(&le, bytes, 4);
        break;
    default:
        memcpy(&le, bytes, 8);
        break;
    }
    le = GUINT64_FROM_LE(le);
    return endian == DEVICE_BIG_ENDIAN ? GUINT64_SWAP_LE_BE(le) >> (64 - 8 * size) : le;
}

static void bytes_of_value(uint8_t *bytes, uint64_t value, unsigned size, enum DeviceEndian endian)
{
    uint64_t le = value;

    if (endian == DEVICE_BIG_ENDIAN) {
        le = GUINT64_SWAP_LE_BE(value << (64 - 8 * size));
    }
    le = GUINT64_TO_LE(le);
    switch (size) {
    case 1:
        bytes[0] = (uint8_t)le;
        break;
    case 2:
        memcpy(bytes, &le, 2);
        break;
    case 4:
        memcpy(bytes, &le, 4);
        break;
    default:
        memcpy(bytes, &le, 8);
        break;
    }
}

unsigned memory_io_access_size(const MemoryRegionOps *ops, hwaddr offset, uint64_t len, bool single)
{
    unsigned size = MIN(floor_power_of_2(len), or_default(ops->valid.max_access_size, 4));

    return single || ops->valid.unaligned ? size : MIN(size, alignment_of(offset));
}

bool memory_io_accepts(const MemoryRegion *mr, hwaddr offset, unsigned size, bool is_write,
                       MemTxAttrs attrs)
{
    const MemoryRegionOps *ops = mr->ops;

    if (size < or_default(ops->valid.min_access_size, 1) ||
        size > or_default(ops->valid.max_access_size, 4) ||
        (!ops->valid.unaligned && (offset & (size - 1)))) {
        return false;
    }
    if (is_write ? !ops->write : !ops->read) {
        return false;
    }
    return !ops->valid.accepts ||
           ops->valid.accepts(mr->opaque, offset, size, is_write, attrs);
}

/* One call of the callback; what it refuses reads as all ones. */
MemTxResult memory_io_read_whole(const MemoryRegion *mr, hwaddr offset, uint8_t *bytes,
                                 unsigned width, MemTxAttrs attrs)
{
    uint64_t value = 0;
    MemTxResult result = mr->ops->read(mr->opaque, offset, &value, width, attrs);

    bytes_of_value(bytes, result == MEMTX_OK ? value : UINT64_MAX, width, mr->ops->endianness);
    return result;
}

MemTxResult memory_io_write_whole(const MemoryRegion *mr, hwaddr offset, const uint8_t *bytes,
                                  unsigned width, MemTxAttrs attrs)
{
    return mr->ops->write(mr->opaque, offset, value_of_bytes(bytes, width, mr->ops->endianness),
                          width, attrs);
}

/* A callback's share of an access: @width bytes at @base, of which @take from @skip on are meant. */
typedef struct IoPiece {
    hwaddr base;
    unsigned width;
    unsigned skip;
    unsigned take;
} IoPiece;

static IoPiece next_piece(const MemoryRegionOps *ops, hwaddr offset, unsigned left)
{
    unsigned min = or_default(ops->impl.min_access_size, 1);
    unsigned max = MAX(or_default(ops->impl.max_access_size, 4), min);
    unsigned width = MIN(floor_power_of_2(left), max);
    IoPiece piece = { .base = offset };

    if (!ops->impl.unaligned) {
        width = MIN(width, alignment_of(offset));
    }
    if (width < min) {
        width = min;
        if (!ops->impl.unaligned) {
            piece.base = offset & ~(hwaddr)(min - 1);
            piece.skip = offset - piece.base;
        }
    }
    piece.width = width;
    piece.take = MIN(left, width - piece.skip);
    return piece;
}

static bool goes_whole(const MemoryRegionOps *ops, hwaddr offset, unsigned size)
{
    return size >= or_default(ops->impl.min_access_size, 1) &&
           size <= or_default(ops->impl.max_access_size, 4) &&
           (ops->impl.unaligned || (offset & (size - 1)) == 0);
}

void memory_io_know_sizes(MemoryRegion *mr)
{
    const MemoryRegionOps *ops = mr->ops;

    mr->whole_reads = mr->whole_writes = 0;
    for (unsigned size = 1; size <= 8 && !ops->valid.accepts; size *= 2) {
        if (goes_whole(ops, 0, size)) {
            mr->whole_reads |= memory_io_accepts(mr, 0, size, false, MEMTXATTRS_NONE) ? size : 0;
            mr->whole_writes |= memory_io_accepts(mr, 0, size, true, MEMTXATTRS_NONE) ? size : 0;
        }
    }
}

static MemTxResult read_pieces(const MemoryRegion *mr, hwaddr offset, uint8_t *buf, unsigned size,
                               MemTxAttrs attrs)
{
    MemTxResult result = MEMTX_OK;

    for (unsigned pos = 0; pos < size;) {
        IoPiece piece = next_piece(mr->ops, offset + pos, size - pos);
        uint8_t bytes[8];

        result |= memory_io_read_whole(mr, piece.base, bytes, piece.width, attrs);
        memcpy(buf + pos, bytes + piece.skip, piece.take);
        pos += piece.take;
    }
    return result;
}

/*
 * A write that is narrower than the callback's minimum carries zeroes in the other lanes: reading
 * first, to write back what is there, could itself have an effect on the device.
 */
static MemTxResult write_pieces(const MemoryRegion *mr, hwaddr offset, const uint8_t *buf,
                                unsigned size, MemTxAttrs attrs)
{
    MemTxResult result = MEMTX_OK;

    for (unsigned pos = 0; pos < size;) {
        IoPiece piece = next_piece(mr->ops, offset + pos, size - pos);
        uint8_t bytes[8] = { 0 };

        memcpy(bytes + piece.skip, buf + pos, piece.take);
        result |= memory_io_write_whole(mr, piece.base, bytes, piece.width, attrs);
        pos += piece.take;
    }
    return result;
}

MemTxResult memory_io_read(const MemoryRegion *mr, hwaddr offset, uint8_t *buf, unsigned size,
                           MemTxAttrs attrs)
{
    if (!memory_io_accepts(mr, offset, size, false, attrs)) {
        memset(buf, 0xff, size);
        return MEMTX_ERROR;
    }
    if (goes_whole(mr->ops, offset, size)) {
        return memory_io_read_whole(mr, offset, buf, size, attrs);
    }
    return read_pieces(mr, offset, buf, size, attrs);
}

MemTxResult memory_io_write(const MemoryRegion *mr, hwaddr offset, const uint8_t *buf,
                            unsigned size, MemTxAttrs attrs)
{
    if (!memory_io_accepts(mr, offset, size, true, attrs)) {
        return MEMTX_ERROR;
    }
    if (goes_whole(mr->ops, offset, size)) {
        return memory_io_write_whole(mr, offset, buf, size, attrs);
    }
    return write_pieces(mr, offset, buf, size, attrs);
}
